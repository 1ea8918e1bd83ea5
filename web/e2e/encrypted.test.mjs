// A call whose page and signals come over TLS, with a certificate made by `broker cert`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('two talk over https and wss, with a certificate of their own making', async (t) => {
  const scene = await Scene.begin(t, browser, { https: true });
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => scene.open({ name })));
  assert.ok(alice && bob);
  for (const peer of [alice, bob]) {
    assert.equal(new URL(peer.page.url()).protocol, 'https:');
    assert.ok(await peer.page.evaluate(() => isSecureContext), 'only then a browser gives out cameras');
  }
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);
  for (const peer of [alice, bob]) assert.deepEqual(peer.sockets, [`wss://${new URL(scene.broker.origin).host}/mqtt`]);
});
