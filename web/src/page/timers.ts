// The page's end of `timer-worker.ts`.
import type { Timers } from '../duet.ts';

interface Running {
  callback(): void;
  milliseconds: number;
  /** The page's own timer, once there is no worker. */
  own?: ReturnType<typeof setInterval>;
}

/** Timers of a worker; the page's own, which are slow while it is hidden, if the worker cannot be had. */
export function workerTimers(
  worker: Pick<Worker, 'postMessage' | 'onmessage' | 'onerror'> = new Worker(new URL('./timer-worker.ts', import.meta.url), { type: 'module' }),
): Timers {
  const running = new Map<number, Running>();
  let last = 0;
  let lost = false;
  const runOwn = (timer: Running) => (timer.own = setInterval(timer.callback, timer.milliseconds));
  worker.onmessage = ({ data }: MessageEvent<number>) => running.get(data)?.callback();
  // Its script comes from the broker, which may be gone before it is fetched.
  worker.onerror = () => {
    if (lost) return;
    lost = true;
    worker.onmessage = null;
    for (const timer of running.values()) runOwn(timer);
  };
  return {
    set(callback, milliseconds) {
      last += 1;
      const timer: Running = { callback, milliseconds };
      running.set(last, timer);
      if (lost) runOwn(timer);
      else worker.postMessage({ set: last, milliseconds });
      return last;
    },
    clear(number) {
      const timer = running.get(number);
      running.delete(number);
      if (lost) clearInterval(timer?.own);
      else worker.postMessage({ clear: number });
    },
  };
}
