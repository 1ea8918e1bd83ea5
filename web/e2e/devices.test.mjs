// Camera and microphone: refused, missing, muted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { DEVICES, Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('playwright-core').Browser} */
let bare;
before(async () => ([browser, bare] = await Promise.all([launch(), launch({ devices: false })])));
after(() => Promise.all([browser.close(), bare.close()]));

test('a refused camera is told with its reason; watching and trying again are possible', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await scene.open({ name: 'camera' });
  await camera.join('porch');
  await camera.is('waiting');

  const refused = await scene.open({ name: 'refused', allow: false });
  await refused.join('porch');
  await refused.is('error');
  assert.match(await refused.text('#status'), /told not to give this page the camera.*try again.*join without/i);
  assert.equal((await camera.record()).states.at(-1), 'waiting', 'no seat is taken by one who was refused');

  await refused.press('#join-view');
  await refused.talks();
  await refused.press('#leave');
  await camera.is('left');

  await refused.page.locator('#watch-only').uncheck();
  await refused.press('#join');
  await refused.is('error');
  await refused.page.context().grantPermissions(DEVICES, { origin: scene.broker.origin });
  await refused.press('#try-again');
  await talking(camera, refused);
});

test('without any device the page says so, and watching is possible', async (t) => {
  const scene = await Scene.begin(t, bare);
  const peer = await scene.open();
  await peer.join('porch');
  await peer.is('error');
  assert.match(await peer.text('#status'), /No camera and no microphone were found/);
  assert.ok(!(await peer.page.locator('#join-audio').isVisible()), 'there is no microphone to join with');
  await peer.press('#join-view');
  await peer.is('waiting');
  assert.match(await peer.text('#notice'), /only watching/);
});

/**
 * How bright the other one's picture is in the middle, from 0 to 255.
 *
 * @param {import('./support/peer.mjs').Peer} peer
 */
function brightness(peer) {
  return peer.page.locator('#peer-video').evaluate((element) => {
    const video = /** @type {HTMLVideoElement} */ (element);
    const canvas = new OffscreenCanvas(16, 16);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    context.drawImage(video, 0, 0, 16, 16);
    const { data } = context.getImageData(0, 0, 16, 16);
    return data.reduce((sum, value, at) => sum + (at % 4 === 3 ? 0 : value), 0) / (16 * 16 * 3);
  });
}

/**
 * Waits, picture by picture, until the other one's is as bright or dark as wanted.
 *
 * @param {import('./support/peer.mjs').Peer} peer
 * @param {(brightness: number) => boolean} wanted
 */
async function looks(peer, wanted) {
  let now = await brightness(peer);
  for (let pictures = 0; !wanted(now) && pictures < 10; pictures += 1) {
    await peer.sees();
    now = await brightness(peer);
  }
  assert.ok(wanted(now), `the picture at ${peer.name} has a brightness of ${now}`);
}

test('camera off makes the picture black for the other one, until it is on again', async (t) => {
  const scene = await Scene.begin(t, browser);
  const alice = await scene.open({ name: 'alice' });
  const bob = await scene.open({ name: 'bob' });
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);

  await looks(bob, (bright) => bright > 40);
  await alice.press('#camera');
  assert.equal(await alice.page.locator('#camera').getAttribute('aria-pressed'), 'true');
  await looks(bob, (bright) => bright < 5);
  await alice.press('#camera');
  await looks(bob, (bright) => bright > 40);
});
