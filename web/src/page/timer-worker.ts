// Timers that go on at full speed in a hidden page: browsers slow a page's own down to one a minute, and the
// broker would take a peer that is silent for so long for lost.
const running = new Map<number, ReturnType<typeof setInterval>>();

self.onmessage = ({ data }: MessageEvent<{ set: number; milliseconds: number } | { clear: number }>) => {
  if ('set' in data) {
    running.set(data.set, setInterval(() => self.postMessage(data.set), data.milliseconds));
  } else {
    clearInterval(running.get(data.clear));
    running.delete(data.clear);
  }
};
