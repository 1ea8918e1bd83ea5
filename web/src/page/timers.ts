// The page's end of `timer-worker.ts`.
import type { Timers } from '../duet.ts';

export function workerTimers(): Timers {
  const worker = new Worker(new URL('./timer-worker.ts', import.meta.url), { type: 'module' });
  const callbacks = new Map<number, () => void>();
  let last = 0;
  worker.onmessage = ({ data }: MessageEvent<number>) => callbacks.get(data)?.();
  return {
    set(callback, milliseconds) {
      last += 1;
      callbacks.set(last, callback);
      worker.postMessage({ set: last, milliseconds });
      return last;
    },
    clear(timer) {
      callbacks.delete(timer);
      worker.postMessage({ clear: timer });
    },
  };
}
