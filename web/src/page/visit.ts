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

export interface Asked {
  room: string | undefined;
  /** The camera of which a free room is sought; then there is no room. */
  camera: string | undefined;
  view: boolean;
  relay: boolean;
}

/**
 * What an address asks for: `/?room=NAME`, `&view` for only looking, and `&relay` for no other way than over a relay; or
 * `/?camera=NAME`, which looks, in the first of the camera's rooms that is free.
 */
export function parseAddress(search: string): Asked {
  const parameters = new URLSearchParams(search);
  const room = parameters.get('room') ?? undefined;
  const camera = room === undefined ? (parameters.get('camera') ?? undefined) : undefined;
  return { room, camera, view: parameters.has('view') || camera !== undefined, relay: parameters.has('relay') };
}

/** The address that brings somebody to a room, or to a camera. */
export function address(origin: string, { room, camera, view, relay }: Asked): string {
  const value = (name: string) => encodeURIComponent(name).replaceAll('%20', '+');
  const place = camera === undefined ? `room=${value(room ?? '')}${view ? '&view' : ''}` : `camera=${value(camera)}`;
  return `${origin}/?${place}${relay ? '&relay' : ''}`;
}

/** The same address for people to read: browsers take letters of every language as they are. */
export function readable(address: string): string {
  // An escaped percent sign must stay escaped.
  return address.includes('%25') ? address : decodeURI(address);
}
