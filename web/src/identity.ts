// Who this tab is. The peer id lives in sessionStorage, so that a reload keeps the seat; a duplicated tab
// brings a copy of it along, notices that the name is in use, and becomes another peer.

const KEY = 'duet.peer';
const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';
const LENGTH = 13;

/** How long a reload's older self may need to let go of the name. */
const LET_GO_WITHIN = 1_000;
const ANSWER_WITHIN = 200;

/** A new peer id that nobody else has: `web-` and 65 random bits. */
export function newPeerId(): string {
  // Not randomUUID, which pages without TLS do not have.
  const random = crypto.getRandomValues(new Uint8Array(LENGTH));
  return `web-${Array.from(random, (byte) => LETTERS[byte % 32]).join('')}`;
}

export interface Identity {
  peer: string;
  /** Whether this tab had the name before: a reload, not a first visit or a duplicate. */
  returned: boolean;
}

/** What of the browser is needed; tests bring their own. */
export interface Surroundings {
  storage: Pick<Storage, 'getItem' | 'setItem'>;
  locks: LockManager | undefined;
  openChannel: ((name: string) => BroadcastChannel) | undefined;
}

/** This tab's peer id, held until the tab is closed. */
export async function identity(surroundings: Surroundings = browser()): Promise<Identity> {
  const { storage } = surroundings;
  const stored = storage.getItem(KEY);
  if (stored !== null && (await hold(stored, surroundings))) return { peer: stored, returned: true };
  return { peer: await renew(surroundings), returned: false };
}

/** The name that a token gives, which no other can stand in for. */
export async function named(peer: string, { kept }: { kept: boolean }, surroundings: Surroundings = browser()): Promise<Identity> {
  // A duplicated tab brings the token along, but must not come back into the first one's seat by itself.
  const free = await hold(peer, surroundings);
  return { peer, returned: kept && free };
}

/** Makes this tab another peer, as when its name has been taken over. */
export async function renew(surroundings: Surroundings = browser()): Promise<string> {
  const peer = newPeerId();
  surroundings.storage.setItem(KEY, peer);
  await hold(peer, surroundings);
  return peer;
}

/** Whether no other tab has the name; from now on this one has. */
function hold(peer: string, { locks, openChannel }: Surroundings): Promise<boolean> {
  const name = `duet-peer-${peer}`;
  if (locks) return holdLock(locks, name);
  if (openChannel) return holdChannel(openChannel(name));
  return Promise.resolve(true);
}

async function holdLock(locks: LockManager, name: string): Promise<boolean> {
  // Without a time limit: a slow machine must not take a free name for one in use.
  if (await request(locks, name, { ifAvailable: true })) return true;
  return request(locks, name, { signal: AbortSignal.timeout(LET_GO_WITHIN) });
}

function request(locks: LockManager, name: string, options: LockOptions): Promise<boolean> {
  return new Promise((resolve) => {
    locks
      .request(name, options, (lock) => {
        resolve(lock !== null);
        // Held as long as the page is there.
        return lock && new Promise<never>(() => {});
      })
      .catch(() => resolve(false));
  });
}

/** Pages without TLS have no locks: ask the other tabs, and answer those that ask later. */
function holdChannel(channel: BroadcastChannel): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (free: boolean) => {
      clearTimeout(timer);
      if (free) channel.onmessage = ({ data }) => data === 'anybody?' && channel.postMessage('here');
      else channel.close();
      resolve(free);
    };
    const timer = setTimeout(() => settle(true), ANSWER_WITHIN);
    channel.onmessage = ({ data }) => data === 'here' && settle(false);
    channel.postMessage('anybody?');
  });
}

function browser(): Surroundings {
  return {
    storage: sessionStorage,
    locks: globalThis.navigator?.locks,
    openChannel: typeof BroadcastChannel === 'function' ? (name) => new BroadcastChannel(name) : undefined,
  };
}
