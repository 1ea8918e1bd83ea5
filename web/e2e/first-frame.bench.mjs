// How long it takes from the click on Join to the other one's first picture, through the broker and through a bare relay
// in this process, in turns: what the broker adds to what the browser takes. `npm run bench`; RUNS of each, 20 by itself.
import { Broker } from './support/broker.mjs';
import { talking } from './support/peer.mjs';
import { Relay } from './support/relay.mjs';
import { Scene, launch } from './support/scene.mjs';

const RUNS = Number(process.env['RUNS'] ?? 20);
/** Not counted: the first ones compile the page's code, and fill caches. */
const WARM_UP = 2;

/**
 * One call into a room where somebody waits; milliseconds from the click to the picture.
 *
 * @param {Scene<import('./support/scene.mjs').Server>} scene
 * @param {import('./support/peer.mjs').Peer} alice
 * @param {string} name
 */
async function call(scene, alice, name) {
  const bob = await scene.open({ name });
  await bob.join('lobby');
  await talking(alice, bob);
  const { clickedJoin, firstFrame } = await bob.record();
  if (clickedJoin === undefined || firstFrame === undefined) throw new Error(`${name} has seen no picture`);
  await bob.press('#leave');
  await alice.is('left');
  await bob.page.context().close();
  return firstFrame - clickedJoin;
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[half] ?? NaN) : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}

const browser = await launch();
const broker = await Broker.start();
const ways = [];
for (const [name, server] of /** @type {const} */ ([['broker', broker], ['bare relay', await Relay.start(broker.origin)]])) {
  const scene = new Scene(browser, /** @type {import('./support/scene.mjs').Server} */ (server));
  const alice = await scene.open({ name: 'alice' });
  await alice.join('lobby');
  await alice.is('waiting');
  ways.push({ name, scene, alice, took: /** @type {number[]} */ ([]) });
}
try {
  for (let run = 1 - WARM_UP; run <= RUNS; run += 1) {
    for (const { name, scene, alice, took } of ways) {
      const ms = await call(scene, alice, `bob ${run} by ${name}`);
      if (run > 0) took.push(ms);
    }
  }
  for (const { name, took } of ways) {
    console.log(`${name}: median ${median(took).toFixed(0)} ms of ${took.map((ms) => ms.toFixed(0)).join(', ')}`);
  }
  const [through, bare] = ways.map(({ took }) => median(took));
  console.log(`broker against bare relay: ${(((through ?? NaN) / (bare ?? NaN) - 1) * 100).toFixed(1)} %`);
} finally {
  // The relay first: it has the page from the broker.
  for (const { scene } of ways.reverse()) await scene.end();
  await browser.close();
}
