// What a picture that was kept is called.

/** A name that every file system takes, with the time of the person's own clock. */
export function snapshotName(of: string, now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('.');
  const plain = of.replace(/[^\p{L}\p{N}_-]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60);
  return `${plain || 'camera'} ${date} ${time}.png`;
}
