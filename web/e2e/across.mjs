// Two pages in a call, each at another node of a cluster: `NODES=host:port,host:port JWT_SECRET=… node e2e/across.mjs`, by
// `make test-cluster`.
import { Broker } from './support/broker.mjs';
import { Front } from './support/front.mjs';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';
import { signed } from './support/token.mjs';

const { NODES = '', JWT_SECRET = '' } = process.env;
const browser = await launch();
// Only for its page.
const broker = await Broker.start();
try {
  const opened = ['alice', 'bob'].map(async (name, n) => {
    const front = await Front.start(broker.origin, NODES.split(',')[n] ?? '');
    const scene = new Scene(browser, front);
    return { scene, peer: await scene.open({ name, path: `/#token=${signed(name, 'lobby', JWT_SECRET)}` }) };
  });
  const [alice, bob] = await Promise.all(opened);
  if (!alice || !bob) throw new Error('NODES names two');
  await alice.peer.join('lobby');
  await alice.peer.is('waiting');
  await bob.peer.join('lobby');
  await talking(alice.peer, bob.peer);
  const { clickedJoin, firstFrame } = await bob.peer.record();
  console.log(`two pages talk across nodes; from the click on Join to the first picture: ${((firstFrame ?? NaN) - (clickedJoin ?? NaN)).toFixed(0)} ms`);
  await bob.peer.press('#leave');
  await alice.peer.is('left');
  // Both pages were clean, and the other origins are let go.
  await Promise.all([alice.scene.end(), bob.scene.end()]);
} finally {
  await browser.close();
  await broker.stop();
}
