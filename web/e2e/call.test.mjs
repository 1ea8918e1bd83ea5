// The call itself: two see one another, a third finds the room full, people come, go, hang up and come back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('two talk, a third is told that the room is full and gets in when one leaves', async (t) => {
  const scene = await Scene.begin(t, browser);
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => scene.open({ name })));
  assert.ok(alice && bob && carol);

  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);

  await carol.join('lobby');
  await carol.is('full');
  assert.match(await carol.text('#status'), /“lobby” is full/);
  assert.equal((await alice.record()).states.at(-1), 'connected', 'those inside notice nothing');

  await bob.press('#leave');
  await bob.is('idle');
  await alice.is('left');
  await carol.press('#try-again');
  await talking(alice, carol);

  await alice.press('#leave');
  await carol.is('left');
  await alice.join('lobby');
  await talking(alice, carol);
});
