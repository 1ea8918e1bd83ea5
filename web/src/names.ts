// The rules for names of rooms and peers, and for the topics made of them. Rules only: what a person is
// told about a name that breaks one is in the page's strings.

/** The room agent's name on the wire; no peer may have it. */
export const AGENT = 'agent';

/** Longest room name, in bytes of UTF-8. */
export const ROOM_MAX_BYTES = 128;

/** Longest peer id, in characters, each of them one byte. */
export const PEER_MAX_LENGTH = 64;

/** The first rule that a name breaks. */
export type NameProblem =
  | { code: 'empty' }
  | { code: 'too-long'; bytes: number }
  | { code: 'dollar' }
  | { code: 'outer-space' }
  | { code: 'character'; character: string }
  | { code: 'reserved' };

/** Thrown where a name breaks a rule; `problem` says which one. */
export class NameError extends Error {
  readonly problem: NameProblem;

  constructor(kind: 'room name' | 'peer id', problem: NameProblem) {
    super(describe(kind, problem));
    this.name = 'NameError';
    this.problem = problem;
  }
}

/** The rule that `name` breaks as a room name; nothing if it is fine. */
export function roomProblem(name: string): NameProblem | undefined {
  if (name === '') return { code: 'empty' };
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > ROOM_MAX_BYTES) return { code: 'too-long', bytes };
  if (name.startsWith('$')) return { code: 'dollar' };
  if (/^\p{White_Space}|\p{White_Space}$/u.test(name)) return { code: 'outer-space' };
  // \p{Cs} is half of a surrogate pair: a JavaScript string may hold one, UTF-8 may not.
  const character = /[/+#\p{Cc}\p{Cs}]/u.exec(name)?.[0];
  return character === undefined ? undefined : { code: 'character', character };
}

/** The rule that `id` breaks as a peer id; nothing if it is fine. */
export function peerProblem(id: string): NameProblem | undefined {
  if (id === '') return { code: 'empty' };
  if (id.length > PEER_MAX_LENGTH) return { code: 'too-long', bytes: new TextEncoder().encode(id).length };
  const character = /[^!-~]|[/+#$]/u.exec(id)?.[0];
  if (character !== undefined) return { code: 'character', character };
  return id === AGENT ? { code: 'reserved' } : undefined;
}

/** `rooms/{room}/{to}/{from}`: the one topic shape. */
export function topic(room: string, to: string, from: string): string {
  return `rooms/${room}/${to}/${from}`;
}

/** Who sent what came on `topic`, if it is in `me`'s inbox for `room`; nothing otherwise. */
export function sender(topicName: string, room: string, me: string): string | undefined {
  const levels = topicName.split('/');
  const from = levels[3];
  if (levels.length !== 4 || levels[0] !== 'rooms' || levels[1] !== room || levels[2] !== me) return undefined;
  return from === '' ? undefined : from;
}

function describe(kind: string, problem: NameProblem): string {
  switch (problem.code) {
    case 'empty':
      return `a ${kind} must not be empty`;
    case 'too-long':
      return `a ${kind} has at most ${kind === 'peer id' ? PEER_MAX_LENGTH : ROOM_MAX_BYTES} bytes, this one has ${problem.bytes}`;
    case 'dollar':
      return `a ${kind} must not begin with $, which MQTT keeps for servers`;
    case 'outer-space':
      return `a ${kind} must not begin or end with a space`;
    case 'character':
      return `a ${kind} must not contain ${JSON.stringify(problem.character)}`;
    case 'reserved':
      return `the peer id "${AGENT}" is reserved for the room agent; take another`;
  }
}
