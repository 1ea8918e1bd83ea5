// A laptop is closed in the middle of a call, and opened again: the whole browser is stopped, so neither its connections end
// nor does anybody hear from it.
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { talking } from './support/peer.mjs';
import { measured } from './support/promise.mjs';
import { Scene, launch, serve } from './support/scene.mjs';

/** Milliseconds; with `make faults` longer than one and a half keep-alives of the page, which are 30 s. */
const ASLEEP = process.env['DUET_FAULTS'] ? 35_000 : 3_000;
/** For what ICE takes to notice, and to find a way again; what is promised is less. */
const AWAKE_WITHIN = 20_000;

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('./support/scene.mjs').Served} */
let laptop;
before(async () => ([browser, laptop] = await Promise.all([launch(), serve()])));
after(() => Promise.all([browser.close(), laptop.stop()]));

/**
 * A process and all that it has started (proc(5)).
 *
 * @param {number} pid
 * @returns {number[]}
 */
function tree(pid) {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        return [{ pid: Number(name), parent: Number(parent) }];
      } catch {
        return []; // it has ended meanwhile
      }
    });
  const all = [pid];
  // It grows while it is gone through.
  for (const one of all) all.push(...parents.filter(({ parent }) => parent === one).map((child) => child.pid));
  return all;
}

test('a call goes on when a laptop that slept wakes up', { timeout: ASLEEP + 120_000 }, async (t) => {
  const scene = await Scene.begin(t, browser);
  const elsewhere = new Scene(laptop.browser, scene.broker);
  const alice = await scene.open({ name: 'alice' });
  const bob = await elsewhere.open({ name: 'bob' });
  await alice.join('lobby');
  await alice.is('waiting');
  await bob.join('lobby');
  await talking(alice, bob);
  for (const peer of [alice, bob]) peer.expect(/WebSocket/);

  const processes = tree(laptop.pid);
  for (const pid of processes) process.kill(pid, 'SIGSTOP');
  await pause(ASLEEP);
  for (const pid of processes) process.kill(pid, 'SIGCONT');
  const awake = performance.now();
  await Promise.all([alice, bob].map((peer) => peer.is('connected', AWAKE_WITHIN)));
  await Promise.all([alice, bob].map((peer) => peer.sees()));
  const took = performance.now() - awake;
  measured('page-asleep', took);
  // Not media alone: it is in its room again, and hears what is said there.
  await alice.press('#leave');
  await bob.is('left', AWAKE_WITHIN);
});
