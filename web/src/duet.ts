// What others may use: take a seat in a room (`join`), and hold a call in it (`Call`).
export { join, JoinError, Room } from './signaling.ts';
export type { JoinOptions, RoomEnd, RoomEvents, RoomStatus } from './signaling.ts';
export { Call } from './call.ts';
export type { CallEvents, CallOptions, CallRoom, CallState } from './call.ts';
export { identity, named, newPeerId, renew } from './identity.ts';
export type { Identity } from './identity.ts';
export { NameError, PEER_MAX_LENGTH, ROOM_MAX_BYTES, peerProblem, roomProblem } from './names.ts';
export type { NameProblem } from './names.ts';
export { MessageError } from './messages.ts';
export type { ClosedReason, LeftReason, Peer, PeerMessage, Signal } from './messages.ts';
export { tokenClaims } from './token.ts';
export type { Claims } from './token.ts';
export type { Refused, Timers } from './connection.ts';
