// Who sits where: a reload keeps the seat, a duplicated tab gets one of its own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

for (const [who, answer] of /** @type {const} */ ([['creator', 'created'], ['joiner', 'joined']])) {
  test(`a reload of the ${who} keeps the seat, and the call comes back`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const creator = await scene.open({ name: 'creator' });
    const joiner = await scene.open({ name: 'joiner' });
    await creator.join('lobby');
    await creator.is('waiting');
    await joiner.join('lobby');
    await talking(creator, joiner);

    const [reloaded, other] = who === 'creator' ? [creator, joiner] : [joiner, creator];
    const id = await reloaded.id();
    const before = await other.record();
    reloaded.received = '';
    await reloaded.page.reload();
    // Only the reloaded one first: the other one is connected, with what was there before, until it hears of it.
    await reloaded.talks();
    await other.talks();

    assert.equal(await reloaded.id(), id);
    assert.match(reloaded.received, new RegExp(`"type":"${answer}"`), 'the same answer as before');
    assert.match(reloaded.received, /"resumed":true/);
    const states = (await other.record()).states.slice(before.states.length);
    assert.ok(!states.includes('left') && !states.includes('waiting'), `the other one saw ${states.join(' → ')}`);
  });
}

test('a duplicated tab becomes another peer, and the two can talk', async (t) => {
  const scene = await Scene.begin(t, browser);
  const tab = await scene.open({ name: 'tab' });
  await tab.join('lobby');
  await tab.is('waiting');

  // A window that a page opens is given a copy of its sessionStorage, like a duplicated tab.
  const opened = tab.page.context().waitForEvent('page');
  await tab.page.evaluate(() => void window.open(location.href));
  const duplicate = scene.adopt('duplicate', await opened);
  await duplicate.page.waitForLoadState();
  assert.equal(await duplicate.page.locator('#room').inputValue(), 'lobby');

  await duplicate.press('#join');
  await talking(tab, duplicate);
  assert.notEqual(await duplicate.id(), await tab.id());
  assert.ok(!(await tab.record()).states.includes('taken-over'));
});
