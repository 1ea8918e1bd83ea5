// How long it takes from the click on Join to the other one's first picture. A figure to look at: machines differ.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const RUNS = 7;

test('from Join to the first picture', async (t) => {
  const scene = await Scene.begin(t, browser);
  const alice = await scene.open({ name: 'alice' });
  await alice.join('lobby');
  await alice.is('waiting');
  const took = [];
  for (let run = 1; run <= RUNS; run += 1) {
    const bob = await scene.open({ name: `bob ${run}` });
    await bob.join('lobby');
    await talking(alice, bob);
    const { clickedJoin, firstFrame } = await bob.record();
    assert.ok(clickedJoin !== undefined && firstFrame !== undefined);
    took.push(Math.round(firstFrame - clickedJoin));
    await bob.press('#leave');
    await alice.is('left');
  }
  const median = took.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)];
  t.diagnostic(`click on Join to first picture: median ${median} ms of ${took.join(', ')}`);
});
