// A device beside the browser: the camera program is seen by the page.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Bottleneck } from './support/bottleneck.mjs';
import { Camera, memory } from './support/camera.mjs';
import { Coturn } from './support/coturn.mjs';
import { film } from './support/ivf.mjs';
import { talking } from './support/peer.mjs';
import { measured } from './support/promise.mjs';
import { Scene, launch } from './support/scene.mjs';
import { SOON } from './support/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** What a live picture has at least, in frames a second. */
const LIVE = 15;
const MEASURED = Number(process.env['DUET_MEASURED_MS'] ?? 4_000);
/** A path that carries fewer bits a second than the test picture has. */
const NARROW = 120_000;
/** What is left on it at least, in frames a second. */
const MOVES = 8;
/** When who comes late to a film would see its next key frame, which is at its beginning, is later than this. */
const LATE = 3_000;
/** Viewers one after another; all of `make cameras`. */
const MANY = Number(process.env['DUET_VIEWERS'] ?? 10);

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

test('a path that is too narrow gets fewer bits, so that it is still a picture that moves', { timeout: 90_000 }, async (t) => {
  const coturn = await Coturn.start(t);
  const { port } = await Bottleneck.start(t, coturn.port, NARROW);
  const scene = await Scene.begin(t, browser, { flags: coturn.flagsBy(port) });
  await Camera.start(t, scene.broker, ['--room', 'front-door', '--relay']);
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  // Until it is found out, what is in the queue is late or lost.
  const rates = [NaN, await rate(viewer)];
  while (rates.slice(-2).some((fps) => !(fps >= MOVES)) && rates.length < 12) rates.push(await rate(viewer));
  t.diagnostic(`${rates.slice(1).map((fps) => fps.toFixed(1))} frames a second`);
  assert.ok(rates.slice(-2).every((fps) => fps >= MOVES), `${rates} frames a second`);
});

test('a camera of this machine is seen through GStreamer', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'duet-programs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  // The program itself, with a picture of its own where a camera would be.
  const script = 'exec /usr/bin/gst-launch-1.0 $(echo "$@" | /usr/bin/sed "s#v4l2src device=/dev/null#videotestsrc is-live=true pattern=ball#")';
  await writeFile(join(folder, 'gst-launch-1.0'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const scene = await Scene.begin(t, browser);
  // Rows of this width are longer than the picture is wide.
  const flags = ['--room', 'front-door', '--source', 'v4l2:/dev/null', '--size', '854x480'];
  await Camera.start(t, scene.broker, flags, { programs: folder });
  for (const name of ['first', 'second']) {
    const viewer = await look(scene, name);
    await viewer.talks();
    assert.deepEqual(await received(viewer), { codec: 'video/H264', width: 854, height: 480 });
    const fps = await rate(viewer);
    assert.ok(fps >= LIVE, `${fps} frames a second`);
    await viewer.press('#leave');
  }
});

for (const flags of [[], ['--answer']]) {
  test(`a film in VP8 is passed through, and goes on from a key frame for who comes late${flags.length ? ', as an answer' : ''}`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const folder = await mkdtemp(join(tmpdir(), 'duet-film-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'film.ivf');
    assert.equal(await film(browser, scene.broker.origin, path, { frames: 300 }), 1, 'one key frame in ten seconds');
    await Camera.start(t, scene.broker, ['--room', 'front-door', '--source', path, ...flags]);
    for (const name of ['first', 'second']) {
      const viewer = await look(scene, name);
      await viewer.talks();
      assert.deepEqual(await received(viewer), { codec: 'video/VP8', width: 640, height: 360 });
      const { clickedJoin = 0, firstFrame = NaN } = await viewer.record();
      assert.ok(firstFrame - clickedJoin < LATE, `${name} has seen nothing for ${firstFrame - clickedJoin} ms`);
      const fps = await rate(viewer);
      assert.ok(fps >= LIVE, `${fps} frames a second`);
      await viewer.press('#leave');
    }
  });
}

test('four look at once, a fifth is told that all places are taken and gets the next that is free', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door', '--rooms', '4', '--name', 'Front door']);
  await camera.says(/(waiting for a viewer[^]*){4}/);
  /** @type {import('./support/peer.mjs').Peer[]} */
  const viewers = [];
  for (const number of [1, 2, 3, 4]) {
    const viewer = await look(scene, `viewer ${number}`, '/?camera=front-door');
    viewers.push(viewer);
    await viewer.talks();
    assert.equal(await viewer.text('#room-name'), number === 1 ? 'front-door' : `front-door~${number}`);
    assert.equal(new URL(viewer.page.url()).search, '?camera=front-door', 'a link brings others to the camera, not into this room');
    assert.match(await viewer.text('#peer-name'), /^Front door · camera$/);
  }
  const rates = await Promise.all(viewers.map((viewer) => rate(viewer)));
  assert.ok(rates.every((fps) => fps >= LIVE), `${rates.map((fps) => fps.toFixed(1))} frames a second`);
  t.diagnostic(`four at once: ${rates.map((fps) => fps.toFixed(1))} frames a second`);

  const fifth = await look(scene, 'fifth', '/?camera=front-door');
  await fifth.is('full');
  assert.match(await fifth.text('#status'), /All places at the camera “front-door” are taken/);
  await viewers[2]?.press('#leave');
  await viewers[2]?.is('idle');
  await fifth.press('#try-again');
  await fifth.talks();
  assert.equal(await fifth.text('#room-name'), 'front-door~3');

  await fifth.page.reload();
  await fifth.talks();
  assert.equal(await fifth.text('#room-name'), 'front-door~3', 'a reload comes back to its place');
});

test('a viewer who is there first waits for the camera', async (t) => {
  const scene = await Scene.begin(t, browser);
  const viewer = await look(scene, 'viewer', '/?camera=front-door');
  await viewer.is('waiting');
  await Camera.start(t, scene.broker, ['--room', 'front-door'], { waits: false });
  await viewer.talks();
});

test('who watches sees the whole screen, keeps a picture and has the sound to itself', async (t) => {
  const scene = await Scene.begin(t, browser);
  await Camera.start(t, scene.broker, ['--room', 'front-door', '--name', 'Front door']);
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  const { page } = viewer;
  const full = () => page.evaluate(() => document.fullscreenElement?.className);
  await viewer.press('#full-screen');
  await page.waitForFunction(() => document.fullscreenElement !== null, undefined, { timeout: SOON });
  assert.equal(await full(), 'peer');
  assert.equal(await page.locator('#full-screen').getAttribute('aria-pressed'), 'true');
  await page.evaluate(() => document.exitFullscreen());

  const [download] = await Promise.all([page.waitForEvent('download', { timeout: SOON }), viewer.press('#snapshot')]);
  assert.match(download.suggestedFilename(), /^Front-door \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/);
  const picture = await readFile(await download.path());
  assert.deepEqual([picture.toString('latin1', 1, 4), picture.readUInt32BE(16), picture.readUInt32BE(20)], ['PNG', 640, 360]);
  assert.match(await viewer.text('#notice'), /Kept as “Front-door/);
  assert.ok(await page.locator('#sound').isDisabled(), 'the camera has no sound');

  const talker = await scene.open({ name: 'talker' });
  await talker.join('lobby');
  await talker.is('waiting');
  const listener = await look(scene, 'listener', '/?room=lobby&view');
  await listener.talks();
  const muted = () => listener.page.locator('#peer-video').evaluate((video) => /** @type {HTMLVideoElement} */ (video).muted);
  await listener.press('#sound');
  assert.deepEqual([await muted(), await listener.page.locator('#sound').getAttribute('aria-pressed')], [true, 'true']);
  await listener.press('#sound');
  assert.equal(await muted(), false);
  assert.ok(!(await talker.page.locator('#snapshot').isVisible()), 'only who watches has these');
});

test('the picture goes on when the broker is killed, and the next viewer gets in when it is back', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door']);
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  viewer.expect(/^error: WebSocket connection to .* failed/);
  await scene.broker.kill();
  await viewer.is('reconnecting');
  await camera.says(/offline/);
  assert.ok((await rate(viewer)) >= LIVE, 'without the broker');
  await scene.broker.restart();
  const back = performance.now();
  await viewer.is('connected');
  await viewer.sees();
  assert.equal((await viewer.record()).connections, 1, 'on the connection that it had');
  assert.ok((await rate(viewer)) >= LIVE, 'with the broker again');
  await viewer.press('#leave');
  const next = await look(scene, 'next');
  await next.talks();
  t.diagnostic(`${Math.round(performance.now() - back - MEASURED)} ms from the broker's return to the next viewer's picture, less what was measured between`);
});

test('the next viewer gets in within five seconds of the broker\'s return', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door']);
  const next = await scene.open({ name: 'next', path: '/?room=front-door&view', allow: false });
  next.expect(/^error: (Failed to load resource|WebSocket connection to .* failed)/);
  await scene.broker.kill();
  await camera.says(/offline/);
  await scene.broker.restart();
  const back = performance.now();
  await next.press('#join');
  await next.is('connected', 5_000);
  await next.sees();
  const took = performance.now() - back;
  t.diagnostic(`${Math.round(took)} ms`);
  measured('camera-without-broker', took);
});

test('a camera that is there before the broker gets in once it is', async (t) => {
  const scene = await Scene.begin(t, browser);
  await scene.broker.kill();
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door'], { waits: false });
  await camera.says(/offline: no connection to mqtt/);
  await scene.broker.restart();
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
});

test('a camera whose room is taken by two others gets in when one of them leaves', async (t) => {
  const scene = await Scene.begin(t, browser);
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => scene.open({ name })));
  assert.ok(alice && bob);
  await alice.join('front-door');
  await alice.is('waiting');
  await bob.join('front-door');
  await talking(alice, bob);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door'], { waits: false });
  await camera.says(/two others are in this room; trying again/);
  await alice.press('#leave');
  await alice.is('idle');
  await camera.says(/a viewer/);
  await bob.talks();
});

test('two cameras with the same id are told what is wrong', { timeout: 60_000 }, async (t) => {
  const scene = await Scene.begin(t, browser);
  const one = await Camera.start(t, scene.broker, ['--room', 'front-door', '--id', 'door']);
  const other = await Camera.start(t, scene.broker, ['--room', 'porch', '--id', 'door'], { waits: false });
  const what = /is another device running with the same id door\? Give each its own/;
  await Promise.any([one.says(what, 30_000), other.says(what, 30_000)]);
});

test('a film on standard input is seen to its end, and the viewer is told of that', async (t) => {
  const scene = await Scene.begin(t, browser);
  const folder = await mkdtemp(join(tmpdir(), 'duet-film-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'film.ivf');
  await film(browser, scene.broker.origin, path, { frames: 90 });
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door', '--source', '-'], { input: await readFile(path) });
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  await viewer.is('left');
  assert.equal(await camera.ended(), 4);
  await camera.says(/standard input has ended/);
});

for (const flags of [[], ['--answer']]) {
  test(`a camera that restarts is seen again by who was looking${flags.length ? ', as an answer' : ''}`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const all = ['--room', 'front-door', ...flags];
    const first = await Camera.start(t, scene.broker, all);
    const viewer = await look(scene, 'viewer');
    await viewer.talks();
    await first.kill();
    await Camera.start(t, scene.broker, all);
    while ((await viewer.record()).connections < 2) await viewer.page.waitForTimeout(100);
    await viewer.talks();
  });
}

test('a viewer hangs up, and looks again', async (t) => {
  const scene = await Scene.begin(t, browser);
  await Camera.start(t, scene.broker, ['--room', 'front-door']);
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  await viewer.press('#hangup');
  await viewer.is('over');
  await viewer.press('#call-again');
  await viewer.talks();
});

test('a viewer that vanishes leaves its place to the next', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door']);
  const first = await look(scene, 'first');
  await first.talks();
  await first.page.close({ runBeforeUnload: false });
  const second = await look(scene, 'second');
  await second.talks();
  await camera.says(/viewer has left/);
});

test('a camera that was asked for one viewer ends when that one has gone', async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door', '--once', '--stats']);
  const viewer = await look(scene, 'viewer');
  await viewer.talks();
  await camera.says(/camera::stats.*frames=\d+ .*kbit=\d+/);
  await viewer.press('#leave');
  assert.equal(await camera.ended(), 0);
});

test(`${MANY} viewers one after another all see a picture, and nothing is left of them`, { timeout: 60_000 + MANY * 10_000 }, async (t) => {
  const scene = await Scene.begin(t, browser);
  const camera = await Camera.start(t, scene.broker, ['--room', 'front-door']);
  const context = await scene.context({ allow: false });
  /** @type {number[]} */
  const times = [];
  /** @type {number[][]} */
  const held = [];
  for (let number = 1; number <= MANY; number += 1) {
    const viewer = await scene.open({ name: `viewer ${number}`, path: '/?room=front-door&view', within: context });
    await viewer.press('#join');
    await viewer.page.waitForFunction(() => /** @type {any} */ (window).record.firstFrame !== undefined, undefined, { timeout: SOON });
    const { clickedJoin = 0, firstFrame = 0 } = await viewer.record();
    times.push(firstFrame - clickedJoin);
    await viewer.press('#leave');
    await viewer.is('idle');
    await viewer.note();
    await viewer.page.close();
    held.push(await Promise.all([memory(camera), memory(scene.broker)]));
  }
  times.sort((one, other) => one - other);
  const at = (/** @type {number} */ share) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN);
  t.diagnostic(`${MANY} viewers, from Join to the first picture: median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
  for (const [at, who] of ['camera', 'broker'].entries()) {
    const [early = NaN, late = NaN] = [held[Math.floor(MANY / 5)]?.[at], held.at(-1)?.[at]];
    t.diagnostic(`memory of the ${who}: ${early.toFixed(1)} MiB early, ${late.toFixed(1)} MiB at the end`);
    assert.ok(late < early + 4, `the ${who} has grown from ${early} to ${late} MiB`);
  }
});
