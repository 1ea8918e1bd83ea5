// What a reload needs to come back to: the room that this tab is in, and how.

export interface Visit {
  room: string;
  /** `camera` sends picture and sound, `microphone` only sound, `view` nothing. */
  mode: Mode;
  /** Whether this side has hung up. */
  over: boolean;
}

export type Mode = 'camera' | 'microphone' | 'view';

const KEY = 'duet.visit';
const MODES: readonly unknown[] = ['camera', 'microphone', 'view'];

export function recall(storage: Pick<Storage, 'getItem'> = sessionStorage): Visit | undefined {
  try {
    const { room, mode, over } = JSON.parse(storage.getItem(KEY) ?? '{}') as Record<string, unknown>;
    if (typeof room !== 'string' || !MODES.includes(mode)) return undefined;
    return { room, mode: mode as Mode, over: over === true };
  } catch {
    return undefined;
  }
}

export function note(visit: Visit | undefined, storage: Pick<Storage, 'setItem' | 'removeItem'> = sessionStorage): void {
  if (visit) storage.setItem(KEY, JSON.stringify(visit));
  else storage.removeItem(KEY);
}

/** What an address asks for: `/?room=NAME`, `&view` for only looking, and `&relay` for no other way than over a relay. */
export function parseAddress(search: string): { room: string | undefined; view: boolean; relay: boolean } {
  const parameters = new URLSearchParams(search);
  return { room: parameters.get('room') ?? undefined, view: parameters.has('view'), relay: parameters.has('relay') };
}

/** The address that brings somebody to a room. */
export function address(origin: string, room: string, { view, relay }: { view: boolean; relay: boolean }): string {
  const value = encodeURIComponent(room).replaceAll('%20', '+');
  return `${origin}/?room=${value}${view ? '&view' : ''}${relay ? '&relay' : ''}`;
}

/** The same address for people to read: browsers take letters of every language as they are. */
export function readable(address: string): string {
  // An escaped percent sign must stay escaped.
  return address.includes('%25') ? address : decodeURI(address);
}
