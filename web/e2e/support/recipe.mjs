// What a document for people who build devices says to do, taken out of it to be done.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { SOON, within } from './wait.mjs';

/** Those that run, so that none is left behind when the tests are cut short. */
const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());
process.once('exit', () => {
  for (const child of running) end(child);
});

/** The folder of the documents. */
export const DEVICES = new URL('../../../docs/devices/', import.meta.url);

/**
 * A document as text.
 *
 * @param {string} name
 */
export function document(name) {
  return readFile(new URL(name, DEVICES), 'utf8');
}

/**
 * The fenced blocks of a document, in their order.
 *
 * @param {string} text
 * @returns {{ language: string, text: string }[]}
 */
export function blocks(text) {
  return Array.from(text.matchAll(/^```(\w+)\n([^]*?)^```$/gm), ([, language = '', body = '']) => ({ language, text: body }));
}

/**
 * The one block in a language.
 *
 * @param {string} text
 * @param {string} language
 */
export function block(text, language) {
  const [found] = blocks(text).filter((one) => one.language === language);
  if (!found) throw new Error(`there is no block in ${language}`);
  return found.text;
}

/** A program that a document has told to start. */
export class Started {
  /** @type {string[]} */
  lines = [];
  #process;
  /** Called with each line. */
  #heard = () => {};

  /**
   * Starts a program in a process group of its own, which ends with the test.
   *
   * @param {import('node:test').TestContext} t
   * @param {string} command
   * @param {string[]} args
   * @param {import('node:child_process').SpawnOptions} [options]
   */
  constructor(t, command, args, options = {}) {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#process = child;
    running.add(child);
    child.once('error', (error) => this.#say(String(error)));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface(stream).on('line', (line) => this.#say(line));
    }
    t.after(async () => {
      const exit = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      end(child);
      await exit;
      running.delete(child);
    });
  }

  /** @param {string} line */
  #say(line) {
    this.lines.push(line);
    this.#heard();
  }

  /**
   * Waits until it has said enough.
   *
   * @param {string} what in words
   * @param {(lines: string[]) => boolean} enough
   */
  async says(what, enough) {
    const heard = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      this.#heard = () => enough(this.lines) && resolve();
      this.#heard();
    });
    await within(SOON, heard, () => `${this.#process.spawnfile} says ${what}; it said:\n${this.lines.join('\n')}`);
  }
}

/** @param {import('node:child_process').ChildProcess} child */
function end(child) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
