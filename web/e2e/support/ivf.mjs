// A film in VP8, made by the browser itself: no encoder has to be installed for it.
import { writeFile } from 'node:fs/promises';

/** @typedef {{ key: boolean, time: number, data: string }} Encoded `time` in microseconds, `data` in base64 */

/**
 * Writes a film of so many frames at 30 a second, each of them of another colour, as IVF.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} origin a page that is a secure context, which browsers encode in
 * @param {string} path
 * @param {{ frames?: number, width?: number, height?: number }} [options]
 */
export async function film(browser, origin, path, { frames = 60, width = 640, height = 360 } = {}) {
  const page = await browser.newPage();
  await page.goto(origin);
  const encoded = await page.evaluate(encode, { frames, width, height });
  await page.close();
  const header = Buffer.alloc(32);
  header.write('DKIF', 0);
  header.writeUInt16LE(32, 6);
  header.write('VP80', 8);
  header.writeUInt16LE(width, 12);
  header.writeUInt16LE(height, 14);
  header.writeUInt32LE(30, 16);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(encoded.length, 24);
  const chunks = encoded.flatMap(({ data }, at) => {
    const bytes = Buffer.from(data, 'base64');
    const head = Buffer.alloc(12);
    head.writeUInt32LE(bytes.length, 0);
    head.writeUInt32LE(at, 4);
    return [head, bytes];
  });
  await writeFile(path, Buffer.concat([header, ...chunks]));
  return encoded.filter(({ key }) => key).length;
}

/** @param {{ frames: number, width: number, height: number }} options */
async function encode({ frames, width, height }) {
  /** @type {Encoded[]} */
  const all = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      all.push({ key: chunk.type === 'key', time: chunk.timestamp, data: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) });
    },
    error: (error) => {
      throw error;
    },
  });
  encoder.configure({ codec: 'vp8', width, height, bitrate: 500_000, framerate: 30 });
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no canvas');
  for (let at = 0; at < frames; at += 1) {
    context.fillStyle = `hsl(${(at * 360) / frames} 80% 50%)`;
    context.fillRect(0, 0, width, height);
    context.fillStyle = 'white';
    context.fillRect((at * width) / frames, height / 3, height / 4, height / 4);
    const frame = new VideoFrame(canvas, { timestamp: Math.round((at * 1e6) / 30) });
    encoder.encode(frame, { keyFrame: at === 0 });
    frame.close();
  }
  await encoder.flush();
  return all;
}
