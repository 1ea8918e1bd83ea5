// `/duet.js` in somebody else's page: one that has nothing of ours but the module, at an origin of its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Scene, launch } from './support/scene.mjs';
import { SOON, within } from './support/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/client.js"></script>';
const CLIENT = `
const { broker, name } = Object.fromEntries(new URLSearchParams(location.search));
const said = [];
let heard;
const note = (event) => (detail) => { said.push([event, detail]); heard?.(); };
const on = Object.fromEntries(['created', 'joined', 'arrived', 'signal', 'left', 'error', 'ended'].map((event) => [event, note(event)]));
window.hear = async (event) => {
  for (;;) {
    const found = said.find(([what]) => what === event);
    if (found) return found[1];
    await new Promise((resolve) => (heard = resolve));
  }
};
const { join } = await import('http://' + broker + '/duet.js');
window.room = await join({ url: 'ws://' + broker + '/mqtt', room: 'front door', info: { name }, on });
`;

/**
 * Somebody's server, which has a page and no copy of the module.
 *
 * @param {import('node:test').TestContext} t
 */
async function somebody(t) {
  const server = createServer(({ url = '/' }, response) => {
    const [type, text] = url === '/client.js' ? ['text/javascript', CLIENT] : ['text/html', PAGE];
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(text);
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

/** @typedef {{ room: import('../src/duet.ts').Room, hear(event: string): Promise<unknown> }} Client */

test('a page of somebody else joins through the module and rings', async (t) => {
  const origin = await somebody(t);
  const scene = await Scene.begin(t, browser, { flags: ['--origins', origin] });
  const context = await scene.context({ allow: false });
  const complaints = /** @type {string[]} */ ([]);
  /** @param {string} name */
  const open = async (name) => {
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(`${origin}/?broker=${scene.broker.http}&name=${name}`);
    return page;
  };
  /**
   * @param {import('playwright-core').Page} page
   * @param {string} event
   */
  const hear = (page, event) => {
    const heard = page.evaluate((event) => /** @type {Client} */ (/** @type {unknown} */ (window)).hear(event), event);
    return within(SOON, heard, () => `${event} is heard; ${complaints}`);
  };
  /**
   * @param {import('playwright-core').Page} page
   * @param {import('../src/duet.ts').PeerMessage} message
   */
  const send = (page, message) => {
    const sent = page.evaluate((message) => /** @type {Client} */ (/** @type {unknown} */ (window)).room.send(message), message);
    return within(SOON, sent, () => `${message.type} is sent; ${complaints}`);
  };

  const indoors = await open('indoors');
  await hear(indoors, 'created');
  const bell = await open('bell');
  const arrived = /** @type {{ peer: { info: unknown } }} */ (await hear(indoors, 'arrived'));
  assert.deepEqual(arrived.peer.info, { name: 'bell' });
  const joined = /** @type {{ peer: { info: unknown } }} */ (await hear(bell, 'joined'));
  assert.deepEqual(joined.peer.info, { name: 'indoors' });

  await send(bell, { type: 'ring' });
  assert.deepEqual(await hear(indoors, 'signal'), { type: 'ring' });
  await send(indoors, { type: 'open', door: '현관', for: 5 });
  assert.deepEqual(await hear(bell, 'signal'), { type: 'open', door: '현관', for: 5 });

  await bell.evaluate(() => /** @type {Client} */ (/** @type {unknown} */ (window)).room.leave());
  assert.deepEqual(await hear(bell, 'ended'), { why: 'left' });
  assert.equal(/** @type {{ reason: string }} */ (await hear(indoors, 'left')).reason, 'left');
  assert.deepEqual(complaints, []);
});
