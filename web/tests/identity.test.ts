import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Surroundings, identity, named, newPeerId, renew } from '../src/identity.ts';
import { peerProblem } from '../src/names.ts';

class Storage {
  readonly #values = new Map<string, string>();
  constructor(other?: Storage) {
    if (other) this.#values = new Map(other.#values);
  }
  getItem = (key: string) => this.#values.get(key) ?? null;
  setItem = (key: string, value: string) => void this.#values.set(key, value);
}

/** Exclusive locks of one origin, as far as `identity` uses them. */
class Locks {
  readonly #held = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  /** How long the browser needs to answer. */
  delay = 0;
  async request(name: string, options: LockOptions, callback: (lock: object | null) => unknown): Promise<unknown> {
    await new Promise((resolve) => setTimeout(resolve, this.delay));
    options.signal?.throwIfAborted();
    if (!this.#held.has(name)) {
      this.#held.add(name);
      return callback({ name });
    }
    if (options.ifAvailable) return callback(null);
    return new Promise((resolve, reject) => {
      this.#waiting.set(name, () => resolve(callback({ name })));
      options.signal?.addEventListener('abort', () => (this.#waiting.delete(name), reject(options.signal?.reason as Error)));
    });
  }
  release(name: string): void {
    const next = this.#waiting.get(name);
    if (next) next();
    else this.#held.delete(name);
  }
}

const withLocks = (storage: Storage, locks: Locks): Surroundings => ({
  storage,
  locks: locks as unknown as LockManager,
  openChannel: undefined,
});
const withChannel = (storage: Storage): Surroundings => ({
  storage,
  locks: undefined,
  openChannel: (name) => new BroadcastChannel(name) as unknown as globalThis.BroadcastChannel,
});

test('a new id obeys the rules and is another each time', () => {
  const ids = Array.from({ length: 100 }, newPeerId);
  expect(ids.map(peerProblem)).toEqual(Array(100).fill(undefined));
  expect(new Set(ids).size).toBe(100);
});

describe('with locks', () => {
  test('a first visit makes a name and a reload keeps it', async () => {
    const storage = new Storage();
    const locks = new Locks();
    const first = await identity(withLocks(storage, locks));
    expect(first.returned).toBe(false);
    const again = identity(withLocks(storage, locks));
    locks.release(`duet-peer-${first.peer}`);
    expect(await again).toEqual({ peer: first.peer, returned: true });
  });

  test('a duplicated tab becomes another peer, and stays it', async () => {
    const locks = new Locks();
    const storage = new Storage();
    const first = await identity(withLocks(storage, locks));
    const copy = new Storage(storage);
    const second = await identity(withLocks(copy, locks));
    expect(second.returned).toBe(false);
    expect(second.peer).not.toBe(first.peer);
    expect(copy.getItem('duet.peer')).toBe(second.peer);
    expect(storage.getItem('duet.peer')).toBe(first.peer);
  });

  test('a browser that is slow to answer does not make a reload another peer, or let a duplicate be the same', async () => {
    const locks = new Locks();
    locks.delay = 1_200;
    const storage = new Storage();
    const first = await identity(withLocks(storage, locks));
    locks.release(`duet-peer-${first.peer}`);
    expect(await identity(withLocks(storage, locks))).toEqual({ peer: first.peer, returned: true });
    expect((await identity(withLocks(new Storage(storage), locks))).peer).not.toBe(first.peer);
  }, 10_000);

  test('a name that was taken over is given up', async () => {
    const storage = new Storage();
    const first = await identity(withLocks(storage, new Locks()));
    const next = await renew(withLocks(storage, new Locks()));
    expect(next).not.toBe(first.peer);
    expect(storage.getItem('duet.peer')).toBe(next);
  });
});

describe('without locks', () => {
  const channels: BroadcastChannel[] = [];
  const Original = globalThis.BroadcastChannel;
  beforeEach(() => {
    vi.stubGlobal(
      'BroadcastChannel',
      class extends Original {
        constructor(name: string) {
          super(name);
          channels.push(this);
        }
      },
    );
  });
  afterEach(() => {
    for (const channel of channels.splice(0)) channel.close();
    vi.unstubAllGlobals();
  });

  test('a duplicated tab becomes another peer, a reload does not', async () => {
    const storage = new Storage();
    const first = await identity(withChannel(storage));
    const second = await identity(withChannel(new Storage(storage)));
    expect(second.peer).not.toBe(first.peer);
    for (const channel of channels.splice(0)) channel.close();
    expect(await identity(withChannel(storage))).toEqual({ peer: first.peer, returned: true });
  });
});

test('a name that a token gives is kept, and only a reload comes back by itself', async () => {
  const locks = new Locks();
  const storage = new Storage();
  const surroundings = withLocks(storage, locks);
  expect(await named('cam-42', { kept: false }, surroundings)).toEqual({ peer: 'cam-42', returned: false });
  expect(await named('cam-42', { kept: true }, surroundings), 'a duplicate').toEqual({ peer: 'cam-42', returned: false });
  locks.release('duet-peer-cam-42');
  expect(await named('cam-42', { kept: true }, surroundings)).toEqual({ peer: 'cam-42', returned: true });
  expect(storage.getItem('duet.peer'), 'it is not this tab\'s own name').toBeNull();
});
