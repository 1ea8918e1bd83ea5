// Waiting for what is to happen, with a deadline that says what did not.

/** For what takes a moment, on a machine that is busy with other things. */
export const SOON = 15_000;

/**
 * @template T
 * @param {number} milliseconds
 * @param {Promise<T>} promise
 * @param {() => string} what is waited for, asked when it is too late
 * @returns {Promise<T>}
 */
export async function within(milliseconds, promise, what) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms in vain until ${what()}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}
