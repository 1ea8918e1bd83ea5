// Calls over nothing but a relay: the page's own ?relay, the agent's credentials, and a real coturn that takes them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Coturn } from './support/coturn.mjs';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';
import { SOON, within } from './support/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/**
 * Credentials live so long, and an allocation that is not refreshed. Chromium refreshes one that lives less than two
 * minutes when half of that has passed: here, when the credentials that it was made with have expired.
 */
const [TTL, LIFETIME] = [8, 24];

/** @param {string} username as the agent makes them: when it expires, in seconds, and whose it is */
function read(username) {
  const [, expires, peer] = /^(\d+):(.*)$/.exec(username) ?? assert.fail(`no username of the agent's: ${username}`);
  return { expires: Number(expires) * 1_000, peer };
}

test('two talk over a relay alone, each with credentials of its own', async (t) => {
  const coturn = await Coturn.start(t);
  const scene = await Scene.begin(t, browser, { flags: coturn.flags });
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => scene.open({ name, path: '/?relay' })));
  assert.ok(alice && bob);
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);

  for (const peer of [alice, bob]) {
    const { local, remote } = await peer.path();
    assert.deepEqual([local, remote], ['relay', 'relay'], `the path of ${peer.name}`);
    assert.ok(new URL(peer.page.url()).searchParams.has('relay'), 'a reload stays with the relay');
  }
  const users = new Set(coturn.users.map((username) => read(username).peer));
  assert.deepEqual(users, new Set([await alice.id(), await bob.id()]));
});

test('one side alone may insist on the relay', async (t) => {
  const coturn = await Coturn.start(t);
  const scene = await Scene.begin(t, browser, { flags: coturn.flags });
  const alice = await scene.open({ name: 'alice', path: '/?room=lobby&relay' });
  const bob = await scene.open({ name: 'bob', path: '/?room=lobby' });
  await alice.press('#join');
  await alice.is('waiting');
  await bob.press('#join');
  await talking(alice, bob);
  assert.equal((await alice.path()).local, 'relay');
});

test('without a relay the page says why there is no call', async (t) => {
  const scene = await Scene.begin(t, browser);
  const alice = await scene.open({ name: 'alice', path: '/?room=lobby&relay' });
  await alice.press('#join');
  await alice.is('waiting');
  assert.match(await alice.text('#notice'), /the broker names none/);
});

test('a call outlives the credentials that it began with, and restarts ICE with renewed ones', async (t) => {
  const coturn = await Coturn.start(t, { lifetime: LIFETIME });
  const scene = await Scene.begin(t, browser, { flags: [...coturn.flags, '--turn-ttl', `${TTL}s`] });
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => scene.open({ name, path: '/?relay' })));
  assert.ok(alice && bob);
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);
  const first = await alice.path();
  const id = await alice.id();
  const used = () => coturn.users.filter((username) => read(username).peer === id);
  const [begun] = used();
  assert.ok(begun);

  // An allocation belongs to the credentials that it was made with, and so does what keeps it alive.
  // One refreshed with a lifetime of 0 is given up: not every allocation of a gathering is needed.
  const refreshed = (/** @type {string} */ log) => log.split('\n').some((line) => line.includes(`refreshed, realm=<example.test>, username=<${begun}>, lifetime=`) && !line.endsWith('=0'));
  await coturn.logs(`a refresh by ${begun}`, refreshed, 2 * LIFETIME * 1_000);
  assert.ok(Date.now() > read(begun).expires, 'the credentials had expired when the allocation was refreshed');
  await alice.sees();
  await bob.sees();
  const messages = alice.received.split('"type":"ice-servers"').length - 1;
  assert.ok(messages >= 1, `the agent has renewed the credentials ${messages} times`);
  assert.deepEqual((await alice.record()).states.slice(-1), ['connected'], 'nothing was interrupted');
  assert.deepEqual(new Set(used()), new Set([begun]), 'no other credentials have been used so far');

  await alice.restartIce();
  const fresh = () => used().find((username) => username !== begun);
  await coturn.logs('an allocation with other credentials', () => fresh() !== undefined);
  assert.ok(read(String(fresh())).expires > Date.now(), 'the restart gathers with credentials that live');
  const moved = async () => {
    while ((await alice.path()).id === first.id) await alice.page.waitForTimeout(100);
  };
  await within(SOON, moved(), () => 'alice has another path');
  await talking(alice, bob);
  for (const peer of [alice, bob]) {
    const { own, local, remote } = await peer.path();
    assert.deepEqual([own, local, remote], [['relay'], 'relay', 'relay'], `${peer.name} still has nothing but the relay`);
  }
  for (const peer of [alice, bob]) assert.equal((await peer.record()).connections, 1, `${peer.name} talks on the connection that it had`);
});
