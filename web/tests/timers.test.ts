import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { workerTimers } from '../src/page/timers.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const worker = {
    said: [] as unknown[],
    postMessage: (message: unknown) => void worker.said.push(message),
    onmessage: null as Worker['onmessage'],
    onerror: null as Worker['onerror'],
  };
  const tick = (timer: number) => worker.onmessage?.call(worker as unknown as Worker, { data: timer } as MessageEvent);
  const lose = () => worker.onerror?.call(worker as unknown as Worker, new Event('error') as ErrorEvent);
  return { worker, tick, lose, timers: workerTimers(worker) };
}

test('the worker keeps the time', () => {
  const { worker, tick, timers } = setUp();
  const rang = vi.fn();
  const timer = timers.set(rang, 1_000);
  vi.advanceTimersByTime(5_000);
  expect(rang).not.toHaveBeenCalled();
  tick(timer);
  expect(rang).toHaveBeenCalledTimes(1);
  timers.clear(timer);
  tick(timer);
  expect(rang).toHaveBeenCalledTimes(1);
  expect(worker.said).toEqual([{ set: timer, milliseconds: 1_000 }, { clear: timer }]);
});

test('without the worker the page keeps the time itself, also for what runs already', () => {
  const { worker, tick, lose, timers } = setUp();
  const [before, cleared, after] = [vi.fn(), vi.fn(), vi.fn()];
  const first = timers.set(before, 1_000);
  timers.clear(timers.set(cleared, 1_000));
  lose();
  lose();
  const second = timers.set(after, 500);
  vi.advanceTimersByTime(2_000);
  tick(first);
  expect([before, cleared, after].map(({ mock }) => mock.calls.length)).toEqual([2, 0, 4]);
  timers.clear(first);
  timers.clear(second);
  vi.advanceTimersByTime(2_000);
  expect([before, after].map(({ mock }) => mock.calls.length)).toEqual([2, 4]);
  expect(worker.said).toHaveLength(3);
});
