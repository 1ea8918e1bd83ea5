// What the address, the language and the link say.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const ROOM = '현관 카메라';
const LINK = '/?room=%ED%98%84%EA%B4%80+%EC%B9%B4%EB%A9%94%EB%9D%BC';

/** @param {import('./support/peer.mjs').Peer} peer */
async function copiedLink(peer) {
  await peer.press('#copy-link');
  await peer.page.locator('#notice', { hasText: 'http' }).waitFor();
  return peer.page.evaluate(() => navigator.clipboard.readText());
}

test('a Korean room, on a page in Korean', async (t) => {
  const scene = await Scene.begin(t, browser);
  const korean = { context: { locale: 'ko-KR' } };
  const mina = await scene.open({ name: 'mina', ...korean });
  assert.equal(await mina.page.locator('html').getAttribute('lang'), 'ko');
  assert.equal(await mina.text('#join'), '입장');
  await mina.join(ROOM);
  await mina.is('waiting');
  assert.equal(await mina.text('#status'), '상대방을 기다리는 중입니다.');
  assert.equal(await mina.text('#room-name'), ROOM);

  const link = await copiedLink(mina);
  assert.equal(link, scene.broker.origin + LINK);
  const junho = await scene.open({ name: 'junho', path: link.replace(scene.broker.origin, ''), ...korean });
  assert.equal(await junho.page.locator('#room').inputValue(), ROOM);
  await junho.press('#join');
  await talking(mina, junho);
  assert.equal(await junho.text('#status'), '상대방과 연결되었습니다.');
});

test('a chosen language is kept', async (t) => {
  const scene = await Scene.begin(t, browser);
  const peer = await scene.open({ context: { locale: 'fr-FR' } });
  assert.equal(await peer.text('#join'), 'Join', 'English where there is no other');
  await peer.page.locator('#language').selectOption('ko');
  assert.equal(await peer.text('#join'), '입장');
  await peer.page.reload();
  assert.equal(await peer.text('#join'), '입장');
  assert.equal(await peer.page.locator('#language').inputValue(), 'ko');
});

test('a viewer is never asked for a camera, sees the other one, and gives a link to watch on', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await scene.open({ name: 'camera' });
  await camera.join(ROOM);
  await camera.is('waiting');
  const viewer = await scene.open({ name: 'viewer', path: `${LINK}&view`, allow: false });
  assert.ok(await viewer.page.locator('#watch-only').isChecked());
  await viewer.press('#join');
  await viewer.talks();
  await camera.is('connected');
  assert.deepEqual((await viewer.record()).asked, []);
  assert.equal(await viewer.page.locator('.user').isVisible(), false);
  assert.match(await camera.text('#placeholder-text'), /only watching/);
  assert.equal(await copiedLink(viewer), `${scene.broker.origin}${LINK}&view`);

  await viewer.page.reload();
  await viewer.talks();
  assert.deepEqual((await viewer.record()).asked, [], 'nor after a reload');
});
