// The recipes for people who build devices, done as they are written.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { binary } from './support/camera.mjs';
import { DEVICES, Started, block, blocks, document } from './support/recipe.mjs';
import { Scene, launch } from './support/scene.mjs';

const run = promisify(execFile);

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/**
 * A folder that goes with the test.
 *
 * @param {import('node:test').TestContext} t
 */
async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'duet-recipe-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A Python that has what the recipe says to install: that of `TEST_RECIPE_PYTHON`, or one that is set up here. */
async function python() {
  const named = process.env['TEST_RECIPE_PYTHON'];
  if (named) return named;
  const [, wanted = ''] = /pip install (.*)$/m.exec(await document('python.md')) ?? [];
  const packages = wanted.split(/\s+/).map((word) => word.replaceAll('"', ''));
  assert.ok(packages.length >= 3, `python.md installs ${wanted}`);
  const place = fileURLToPath(new URL('../node_modules/.cache/duet-recipe-python', import.meta.url));
  if (!existsSync(place)) {
    // Made under another name, so that nobody ever finds half of it.
    const draft = `${place}.${process.pid}`;
    await mkdir(dirname(place), { recursive: true });
    await run('python3', ['-m', 'venv', draft]);
    await run(join(draft, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
    await rename(draft, place);
  }
  return join(place, 'bin/python');
}

test('the camera in Python is seen by one viewer after another, also by one who was there first', { timeout: 300_000 }, async (t) => {
  const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []).filter(({ internal }) => !internal);
  if (others.length === 0) return t.skip('aiortc leaves the loopback address out, and this machine has no other');
  const scene = await Scene.begin(t, browser);
  const text = await document('python.md');
  const program = join(await folder(t), 'camera.py');
  await writeFile(program, block(text, 'python'));
  assert.ok(block(text, 'python').split('\n').length < 80, 'it can be read in ten minutes');
  const [host = '', port = ''] = scene.broker.mqtt.split(':');
  const interpreter = await python();

  const camera = new Started(t, interpreter, [program, host, port, 'front-door', 'cam-1']);
  await camera.says('that it is in the room', (lines) => lines.includes('<- agent created'));
  for (const name of ['first', 'second']) {
    const viewer = await scene.open({ name, path: '/?room=front-door&view' });
    await viewer.press('#join');
    await viewer.talks();
    assert.equal(await viewer.text('#peer-name'), 'cam-1 · camera');
    await viewer.press('#leave');
    await viewer.is('idle');
  }
  await camera.says('that both have left', (lines) => lines.filter((line) => line === '<- agent left').length === 2);
  // What the page shows of a viewer's visit, however many candidates there are.
  const shown = block(text, 'text').trim().split('\n');
  const visit = camera.lines.slice(0, camera.lines.indexOf('<- agent left') + 1).map((line) => line.replace(/web-\S+/, 'web-…'));
  assert.deepEqual(visit.filter((line, at) => line !== visit[at - 1]), shown);

  const early = await scene.open({ name: 'early', path: '/?room=porch&view' });
  await early.press('#join');
  await early.is('waiting');
  new Started(t, interpreter, [program, host, port, 'porch', 'cam-2']);
  await early.talks();
});

test('a GStreamer pipeline is seen', async (t) => {
  const scene = await Scene.begin(t, browser);
  const programs = await folder(t);
  await symlink(binary(), join(programs, 'camera'));
  const env = { ...process.env, PATH: `${programs}:${process.env['PATH']}`, DUET_CAMERA_BROKER: `mqtt://${scene.broker.mqtt}` };
  const text = await document('gstreamer.md');
  const pipeline = new Started(t, 'bash', ['-c', block(text, 'sh')], { env });
  for (const line of block(text, 'text').trim().split('\n')) {
    const expected = new RegExp(line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace('127\\.0\\.0\\.1:1883', '\\S+').replace('…', '\\S+'));
    await pipeline.says(line, (lines) => lines.some((said) => expected.test(said)));
  }
  const viewer = await scene.open({ name: 'viewer', path: '/?room=front-door&view', allow: false });
  await viewer.press('#join');
  await viewer.talks();
});

/**
 * What was heard, as it can be compared: `rev` and times differ, and messages for people may change.
 *
 * @param {string} line
 */
function comparable(line) {
  const [, topic, payload = ''] = /^(\S+) (.*)$/.exec(line) ?? assert.fail(`no topic in ${line}`);
  const message = JSON.parse(payload);
  if (topic?.endsWith('/agent')) assert.equal(typeof message.rev, 'number', line);
  if (message.type === 'error') assert.ok(message.message.length > 0, line);
  return JSON.stringify({ topic, ...message, rev: 0, ...(message.type === 'error' && { message: '' }) });
}

test('the negotiation by hand goes as it is written', async (t) => {
  const scene = await Scene.begin(t, browser);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = String(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
  server.close();
  await once(server, 'close');
  const [, port = ''] = scene.broker.mqtt.split(':');
  const text = (await document('mosquitto.md')).replaceAll('1884', own).replaceAll('1883', port);

  const place = await folder(t);
  await writeFile(join(place, 'hands.conf'), block(text, 'conf'));
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const hands = new Started(t, 'mosquitto', ['-v', '-c', join(place, 'hands.conf')], { env });
  await hands.says('that both listen', (lines) => lines.filter((line) => line.includes('Received SUBACK from local.')).length === 2);
  const [, listen = ''] = /^ +(mosquitto_sub .*)$/m.exec(text) ?? [];
  // With -d it says when it listens; what is heard begins otherwise.
  const ears = new Started(t, 'bash', ['-c', `exec stdbuf -oL ${listen} -d`], { env });
  await ears.says('that it listens', (lines) => lines.some((line) => line.includes('received SUBACK')));
  const heard = () => ears.lines.filter((line) => line.startsWith('heard/'));

  let begin = 0;
  const steps = blocks(text).filter(({ language }) => language === 'sh' || language === 'text');
  assert.ok(steps.length > 15, `${steps.length} blocks`);
  for (const { language, text: body } of steps) {
    if (language === 'sh') {
      await run('bash', ['-c', body], { env });
      continue;
    }
    const expected = body.trim().split('\n');
    await ears.says(body, () => heard().length >= begin + expected.length);
    const now = heard().slice(begin, begin + expected.length);
    assert.deepEqual(now.map(comparable).sort(), expected.map(comparable).sort());
    begin += expected.length;
  }
  assert.equal(heard().length, begin, 'nothing else was heard');

  const [, ask = ''] = /^ +(mosquitto_rr .*)$/m.exec(text) ?? [];
  const { stdout } = await run('bash', ['-c', ask], { env });
  const { type, room, you } = JSON.parse(stdout);
  assert.deepEqual({ type, room, you }, { type: 'created', room: 'porch', you: 'carol' });
});

test('the program for the ESP32 compiles without a warning', async (t) => {
  const place = await folder(t);
  const text = await document('esp32.md');
  await writeFile(join(place, 'camera.c'), block(text, 'c'));
  await run('cc', ['-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-I', fileURLToPath(new URL('esp32', DEVICES)), join(place, 'camera.c')]);
});

test('every answer of the broker that a recipe shows is one of the protocol', async () => {
  const types = ['created', 'joined', 'full', 'arrived', 'left', 'closed', 'ice-servers', 'error'];
  for (const name of ['python.md', 'esp32.md']) {
    const shown = blocks(await document(name)).filter(({ language }) => language === 'json').flatMap(({ text }) => text.trim().split('\n'));
    assert.ok(shown.length > 0, name);
    for (const line of shown) {
      const { type, rev } = JSON.parse(line);
      assert.ok(types.includes(type) && Number.isInteger(rev), `${name}: ${line}`);
    }
  }
});
