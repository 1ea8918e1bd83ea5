// The broker dies in the middle of a call, and comes back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('the call goes on without the broker, and signaling resumes with it', async (t) => {
  const scene = await Scene.begin(t, browser);
  const alice = await scene.open({ name: 'alice' });
  const bob = await scene.open({ name: 'bob' });
  const both = [alice, bob];
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);
  // Attempts to reach a broker that is not there are what is wanted here.
  for (const peer of both) peer.expect(/^error: WebSocket connection to .* failed/);

  await scene.broker.kill();
  await Promise.all(both.map((peer) => peer.is('reconnecting')));
  assert.match(await alice.text('#status'), /^The call goes on, but the broker is lost/);
  await Promise.all(both.map((peer) => peer.sees()));

  await scene.broker.restart();
  await talking(alice, bob);
  for (const peer of both) assert.equal((await peer.record()).connections, 1, `${peer.name} talks on the connection that it had`);

  await alice.press('#hangup');
  await Promise.all(both.map((peer) => peer.is('over')));
  await bob.press('#call-again');
  await alice.is('ringing');
  await alice.press('#answer');
  await talking(alice, bob);
});

test('a page that is open before the broker is there gets in once it is', async (t) => {
  const scene = await Scene.begin(t, browser);
  const alice = await scene.open({ name: 'alice' });
  // The icon and the worker for the timers are fetched when the browser likes, and may not have come yet.
  alice.expect(/^error: (Failed to load resource|WebSocket connection to .* failed)/);
  await scene.broker.kill();
  await alice.join('lobby');
  await alice.is('reconnecting');
  assert.match(await alice.text('#status'), /cannot be reached/);
  await scene.broker.restart();
  await alice.is('waiting');
});

test('a page whose timer worker never came gets in all the same', async (t) => {
  const scene = await Scene.begin(t, browser);
  const context = await scene.context();
  await context.route('**/timer-worker*', (route) => route.abort());
  const alice = await scene.open({ name: 'alice', within: context });
  alice.expect(/^error: (Failed to load resource|WebSocket connection to .* failed)/);
  await scene.broker.kill();
  await alice.join('lobby');
  await alice.is('reconnecting');
  await scene.broker.restart();
  await alice.is('waiting');
});
