// What the status line says: one pure function from the situation to a state, a sentence and the next steps.
import type { CallState, LeftReason, NameProblem, Peer, RoomEnd, RoomStatus } from '../duet.ts';
import { ROOM_MAX_BYTES } from '../duet.ts';
import type { MediaProblem } from './media.ts';
import type { Strings } from './strings/strings.ts';

export interface Situation {
  room: string;
  /** Waiting for the person to allow camera and microphone. */
  asking: boolean;
  nameProblem: NameProblem | undefined;
  mediaProblem: MediaProblem | undefined;
  /** Nothing when not in a room and not on the way to one. */
  roomStatus: RoomStatus | undefined;
  /** Whether the room was entered since the last Join. */
  beenInside: boolean;
  unanswered: number;
  end: RoomEnd | undefined;
  /** Whether a link has brought a token along. */
  byLink: boolean;
  /** The camera of which a free place is sought. */
  camera: string | undefined;
  call: CallState;
  fellow: Peer | undefined;
  left: LeftReason | undefined;
}

/** The value of `data-state`. */
export type State =
  | 'idle'
  | 'asking'
  | 'connecting'
  | 'waiting'
  | 'negotiating'
  | 'connected'
  | 'interrupted'
  | 'reconnecting'
  | 'left'
  | 'over'
  | 'ringing'
  | 'full'
  | 'taken-over'
  | 'closed'
  | 'error';

export type Action = 'try-again' | 'call-again' | 'answer' | 'audio-only' | 'watch-only';

export interface Status {
  state: State;
  text: string;
  tone: 'quiet' | 'busy' | 'good' | 'bad';
  actions: Action[];
}

export const nobody: Situation = {
  room: '',
  asking: false,
  nameProblem: undefined,
  mediaProblem: undefined,
  roomStatus: undefined,
  beenInside: false,
  unanswered: 0,
  end: undefined,
  byLink: false,
  camera: undefined,
  call: 'waiting',
  fellow: undefined,
  left: undefined,
};

export function status(situation: Situation, strings: Strings): Status {
  const { nameProblem, mediaProblem, end } = situation;
  const say = strings.status;
  if (nameProblem) return { state: 'error', text: nameText(nameProblem, strings), tone: 'bad', actions: [] };
  if (mediaProblem) return media(mediaProblem, strings);
  if (situation.asking && !situation.roomStatus) return { state: 'asking', text: say.asking, tone: 'busy', actions: [] };
  if (end) return ended(end, situation, strings);
  switch (situation.roomStatus) {
    case undefined:
    case 'ended':
      return { state: 'idle', text: say.idle, tone: 'quiet', actions: [] };
    case 'connecting':
      return { state: 'connecting', text: say.connecting, tone: 'busy', actions: [] };
    case 'joining':
      return { state: 'connecting', text: situation.unanswered > 1 ? say.unanswered : say.joining, tone: 'busy', actions: [] };
    case 'reconnecting': {
      const text = !situation.beenInside ? say.unreachable : situation.call === 'connected' ? say.reconnectingInCall : say.reconnecting;
      return { state: 'reconnecting', text, tone: 'busy', actions: [] };
    }
    case 'inside':
      return inside(situation, strings);
  }
}

function inside(situation: Situation, strings: Strings): Status {
  const say = strings.status;
  const who = name(situation.fellow, strings);
  if (situation.asking) return { state: 'asking', text: say.asking, tone: 'busy', actions: [] };
  switch (situation.call) {
    case 'waiting':
      if (situation.left) return { state: 'left', text: say[situation.left], tone: 'quiet', actions: [] };
      return { state: 'waiting', text: say.waiting, tone: 'quiet', actions: [] };
    case 'negotiating':
      return { state: 'negotiating', text: say.negotiating(who), tone: 'busy', actions: [] };
    case 'connected':
      return { state: 'connected', text: say.connected(who), tone: 'good', actions: [] };
    case 'interrupted':
      return { state: 'interrupted', text: say.interrupted, tone: 'busy', actions: [] };
    case 'over':
      return { state: 'over', text: say.over, tone: 'quiet', actions: ['call-again'] };
    case 'ringing':
      return { state: 'ringing', text: say.ringing(who), tone: 'good', actions: ['answer'] };
  }
}

function ended(end: RoomEnd, { room, byLink, camera }: Situation, strings: Strings): Status {
  const say = strings.status;
  switch (end.why) {
    case 'left':
      return { state: 'idle', text: say.goodbye, tone: 'quiet', actions: [] };
    case 'full':
      return { state: 'full', text: camera === undefined ? say.full(room) : say.allTaken(camera), tone: 'bad', actions: ['try-again'] };
    case 'taken-over':
      return { state: 'taken-over', text: say.takenOver, tone: 'bad', actions: ['try-again'] };
    case 'refused':
      if (end.refused === 'room') return { state: 'error', text: say.roomRefused(room, end.message), tone: 'bad', actions: ['try-again'] };
      if (end.refused !== 'login') return { state: 'error', text: say.refused(end.message), tone: 'bad', actions: ['try-again'] };
      return { state: 'error', text: byLink ? say.linkRefused : say.loginRefused, tone: 'bad', actions: ['try-again'] };
    case 'closed': {
      const text = { removed: say.closedRemoved, 'room-closed': say.closedRoom, replaced: say.closedReplaced }[end.reason];
      return { state: 'closed', text, tone: 'bad', actions: ['try-again'] };
    }
  }
}

function media(problem: MediaProblem, strings: Strings): Status {
  const { media: say } = strings;
  const why = {
    denied: () => say.denied,
    'not-found': () => say.notFound,
    'in-use': () => say.inUse,
    insecure: () => say.insecure,
    failed: () => say.failed(problem.message),
  }[problem.code]();
  const actions: Action[] = problem.code === 'insecure' ? ['watch-only'] : ['try-again', 'audio-only', 'watch-only'];
  if (problem.code === 'not-found') actions.splice(1, 1);
  return { state: 'error', text: `${why} ${say.choices}`, tone: 'bad', actions };
}

function nameText(problem: NameProblem, { name: say }: Strings): string {
  switch (problem.code) {
    case 'too-long':
      return say.tooLong(problem.bytes, ROOM_MAX_BYTES);
    case 'character':
      // Control characters and halves of surrogate pairs have no look of their own.
      return say.character(/[\p{Cc}\p{Cs}]/u.test(problem.character) ? `U+${code(problem.character)}` : problem.character);
    default:
      return say[problem.code];
  }
}

function code(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
}

/** What the other one calls itself, else what it is. */
export function name(peer: Peer | undefined, strings: Strings): string {
  const { name: given, kind } = peer?.info ?? {};
  if (typeof given === 'string' && given.trim() !== '') return given.trim().slice(0, 60);
  return kind === 'camera' ? strings.who.camera : strings.who.other;
}

/** What kind of device the other one is; nothing for a person's browser. */
export function kind(peer: Peer | undefined, strings: Strings): string {
  const { kind: told } = peer?.info ?? {};
  if (typeof told !== 'string' || ['', 'browser', 'viewer'].includes(told.trim())) return '';
  return Object.hasOwn(strings.kinds, told) ? String(strings.kinds[told]) : told.trim().slice(0, 30);
}
