// A device beside the browser: the camera program is seen by the page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Camera } from './support/camera.mjs';
import { Coturn } from './support/coturn.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** What a live picture has at least, in frames a second. */
const LIVE = 15;
const MEASURED = 4_000;

/**
 * How many frames a second a viewer decodes.
 *
 * @param {import('./support/peer.mjs').Peer} viewer
 */
async function rate(viewer) {
  const begin = await viewer.decoded();
  const since = performance.now();
  await viewer.page.waitForTimeout(MEASURED);
  const end = await viewer.decoded();
  assert.equal(end.connection, begin.connection, 'on one connection');
  return ((end.frames - begin.frames) * 1_000) / (performance.now() - since);
}

/**
 * The codec that the newest connection receives, as in `video/H264`, and its size.
 *
 * @param {import('./support/peer.mjs').Peer} viewer
 */
function received(viewer) {
  return viewer.page.evaluate(async () => {
    const { connections } = /** @type {import('./support/peer.mjs').RecordedWindow} */ (/** @type {unknown} */ (window)).record;
    const stats = new Map((await connections.at(-1)?.getStats()) ?? []);
    const inbound = [...stats.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    return { codec: stats.get(inbound?.codecId)?.mimeType, width: inbound?.frameWidth, height: inbound?.frameHeight };
  });
}

/**
 * @param {Scene} scene
 * @param {string} name
 * @param {string} [path]
 */
async function look(scene, name, path = '/?room=front-door&view') {
  const viewer = await scene.open({ name, path, allow: false });
  await viewer.press('#join');
  return viewer;
}

for (const [how, flags] of /** @type {const} */ ([['offers', []], ['answers', ['--answer']]])) {
  test(`a camera that ${how} is seen live, by one viewer after another`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const camera = await Camera.start(t, scene.broker, ['--room', 'front-door', ...flags]);
    for (const name of ['first', 'second']) {
      const viewer = await look(scene, name);
      await viewer.talks();
      assert.deepEqual(await received(viewer), { codec: 'video/H264', width: 640, height: 360 });
      const fps = await rate(viewer);
      t.diagnostic(`${fps.toFixed(1)} frames a second`);
      assert.ok(fps >= LIVE, `${fps} frames a second`);
      await viewer.press('#leave');
      await viewer.is('idle');
    }
    await camera.says(/(the viewer has left[^]*){2}/);
  });
}

for (const [side, path, flags] of /** @type {const} */ ([
  ['the viewer', '&relay', []],
  ['the camera', '', ['--relay']],
  ['both', '&relay', ['--relay', '--answer']],
])) {
  test(`a camera is seen through a relay alone that ${side} insists on`, async (t) => {
    const coturn = await Coturn.start(t);
    const scene = await Scene.begin(t, browser, { flags: coturn.flags });
    await Camera.start(t, scene.broker, ['--room', 'front-door', '--id', 'door', ...flags]);
    const viewer = await look(scene, 'viewer', `/?room=front-door&view${path}`);
    await viewer.talks();
    const { local, remote } = await viewer.path();
    if (side !== 'the camera') assert.equal(local, 'relay', 'the way of the viewer');
    if (side !== 'the viewer') assert.equal(remote, 'relay', 'the way of the camera');
    const fps = await rate(viewer);
    assert.ok(fps >= LIVE, `${fps} frames a second`);
    await coturn.logs('an allocation of the camera', () => coturn.users.some((user) => user.endsWith(':door')));
  });
}
