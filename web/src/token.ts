// What a token says of its bearer (RFC 7519): who it is, and which room it is for. Nothing is verified here: only
// the broker can, and it does. A page merely has to know which name and room to ask for.
import { peerProblem, roomProblem } from './names.ts';

export interface Claims {
  /** The peer id that the token gives (`sub`). */
  peer: string | undefined;
  /** The room, if the token is for exactly one. */
  room: string | undefined;
}

/** Reads a token's claims; what is not there, cannot be read or could never be a name is left out. */
export function tokenClaims(token: string): Claims {
  const { sub, rooms } = payload(token);
  const only: unknown = Array.isArray(rooms) && rooms.length === 1 ? rooms[0] : undefined;
  return {
    peer: typeof sub === 'string' && !peerProblem(sub) ? sub : undefined,
    // With one of these it is a pattern, which may stand for many rooms.
    room: typeof only === 'string' && !/[*?\\]/.test(only) && !roomProblem(only) ? only : undefined,
  };
}

function payload(token: string): Record<string, unknown> {
  try {
    const base64 = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
