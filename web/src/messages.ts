// The messages of the protocol: their types, and the check of what comes in. Nothing here sends or acts.

/** A peer as the agent names it to the other one. */
export interface Peer {
  id: string;
  /** What the peer says of itself when it joins, up to 1 KiB of JSON. */
  info?: Record<string, unknown>;
}

/** From a peer to the agent. */
export type ToAgent =
  | { type: 'join'; v: 1; info?: Record<string, unknown> }
  | { type: 'leave' }
  | { type: 'state'; connection: RTCPeerConnectionState; detail?: string };

/** From the agent to a peer. `rev` only grows within a room name. */
export type FromAgent = { rev?: number } & (
  | { type: 'created'; room: string; you: string; peer?: Peer; ice_servers: RTCIceServer[]; resumed: boolean; lease?: number }
  | { type: 'joined'; room: string; you: string; peer: Peer; ice_servers: RTCIceServer[]; resumed: boolean; lease?: number }
  | { type: 'full'; room: string }
  | { type: 'arrived'; peer: Peer }
  | { type: 'left'; peer: string; reason: LeftReason }
  | { type: 'closed'; reason: ClosedReason }
  | { type: 'ice-servers'; ice_servers: RTCIceServer[] }
  | { type: 'error'; code: string; message: string }
);

/** Why the other one is gone. */
export type LeftReason = 'left' | 'lost' | 'removed';
/** Why you are out. */
export type ClosedReason = 'removed' | 'room-closed' | 'replaced';

/** Between the two peers of a room. */
export type Signal =
  | { type: 'ready' }
  | { type: 'offer'; sdp: string }
  | { type: 'answer'; sdp: string }
  | { type: 'candidate'; candidate: RTCIceCandidateInit | null }
  | { type: 'bye' };

/** Any message between peers: the agent and the broker pass on types that they do not know. */
export type PeerMessage = Signal | { type: string; [field: string]: unknown };

/** Thrown for a message that breaks the protocol. */
export class MessageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MessageError';
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The JSON object with a `type` that every message is. */
function parseObject(payload: Uint8Array): Record<string, unknown> & { type: string } {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch (cause) {
    throw new MessageError(`a message must be JSON in UTF-8: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (!isObject(value)) throw new MessageError('a message must be a JSON object');
  if (typeof value['type'] !== 'string') throw new MessageError('a message must have a `type`, which is a string');
  return value as Record<string, unknown> & { type: string };
}

/**
 * What the agent said, or nothing if its type is unknown here (a later version may have more of them).
 *
 * @throws MessageError when the message breaks the protocol
 */
export function parseFromAgent(payload: Uint8Array): FromAgent | undefined {
  const message = parseObject(payload);
  const { type } = message;
  const rev = message['rev'];
  if (rev !== undefined && !Number.isSafeInteger(rev)) throw wrong(type, 'rev', 'a whole number');
  switch (type) {
    case 'created':
    case 'joined':
      text(message, 'room');
      text(message, 'you');
      servers(message);
      if (typeof message['resumed'] !== 'boolean') throw wrong(type, 'resumed', 'true or false');
      if (type === 'joined' || message['peer'] !== undefined) peer(message);
      if (message['lease'] !== undefined && !(Number.isSafeInteger(message['lease']) && Number(message['lease']) > 0)) {
        throw wrong(type, 'lease', 'a whole number of seconds');
      }
      break;
    case 'full':
      text(message, 'room');
      break;
    case 'arrived':
      peer(message);
      break;
    case 'left':
      text(message, 'peer');
      oneOf(message, 'reason', ['left', 'lost', 'removed']);
      break;
    case 'closed':
      oneOf(message, 'reason', ['removed', 'room-closed', 'replaced']);
      break;
    case 'ice-servers':
      servers(message);
      break;
    case 'error':
      text(message, 'code');
      text(message, 'message');
      break;
    default:
      return undefined;
  }
  return message as unknown as FromAgent;
}

/**
 * What the other peer said. Types that are not a signal of the protocol come through unchecked.
 *
 * @throws MessageError when the message breaks the protocol
 */
export function parseFromPeer(payload: Uint8Array): PeerMessage {
  const message = parseObject(payload);
  switch (message.type) {
    case 'offer':
    case 'answer':
      text(message, 'sdp');
      break;
    case 'candidate':
      if (message['candidate'] !== null) candidate(message['candidate']);
      break;
  }
  return message;
}

/** Whether a message between peers is one of the protocol's signals. */
export function isSignal(message: PeerMessage): message is Signal {
  return ['ready', 'offer', 'answer', 'candidate', 'bye'].includes(message.type);
}

function candidate(value: unknown): void {
  if (!isObject(value) || typeof value['candidate'] !== 'string') {
    throw wrong('candidate', 'candidate', 'null or an RTCIceCandidateInit');
  }
  const { sdpMid, sdpMLineIndex, usernameFragment } = value;
  const fits =
    (sdpMid === undefined || sdpMid === null || typeof sdpMid === 'string') &&
    (sdpMLineIndex === undefined || sdpMLineIndex === null || Number.isInteger(sdpMLineIndex)) &&
    (usernameFragment === undefined || usernameFragment === null || typeof usernameFragment === 'string');
  if (!fits) throw wrong('candidate', 'candidate', 'null or an RTCIceCandidateInit');
}

function text(message: Record<string, unknown>, field: string): void {
  if (typeof message[field] !== 'string') throw wrong(String(message['type']), field, 'a string');
}

function oneOf(message: Record<string, unknown>, field: string, allowed: readonly string[]): void {
  const value = message[field];
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw wrong(String(message['type']), field, `one of ${allowed.join(', ')}`);
  }
}

function peer(message: Record<string, unknown>): void {
  const value = message['peer'];
  const fits = isObject(value) && typeof value['id'] === 'string';
  if (!fits) throw wrong(String(message['type']), 'peer', 'an object with an `id`');
  if (value['info'] !== undefined && !isObject(value['info'])) {
    throw wrong(String(message['type']), 'peer.info', 'an object');
  }
}

function servers(message: Record<string, unknown>): void {
  const value = message['ice_servers'];
  const fits = Array.isArray(value) && value.every((server) => isObject(server) && server['urls'] !== undefined);
  if (!fits) throw wrong(String(message['type']), 'ice_servers', 'a list of RTCIceServer');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(type: string, field: string, right: string): MessageError {
  return new MessageError(`in a message of type ${type}, \`${field}\` must be ${right}`);
}
