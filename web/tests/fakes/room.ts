// A stand-in for a room with its agent: two seats, messages in their order, seats that are lost and resumed.
import type { CallRoom } from '../../src/call.ts';
import { Emitter } from '../../src/emitter.ts';
import type { Peer, PeerMessage } from '../../src/messages.ts';
import type { RoomEvents, RoomStatus } from '../../src/signaling.ts';

export class FakeRoom extends Emitter<RoomEvents> implements CallRoom {
  status: RoomStatus = 'connecting';
  role: 'created' | 'joined' | undefined;
  resumed = false;
  fellow: Peer | undefined;
  iceServers: RTCIceServer[] = [{ urls: 'stun:x' }];
  sent: PeerMessage[] = [];
  reports: string[] = [];
  /** Where what is sent goes. */
  onSend: (message: PeerMessage) => Promise<void> = () => Promise.resolve();

  send(message: PeerMessage): Promise<void> {
    this.sent.push(message);
    return this.onSend(message);
  }

  report(connection: string): void {
    this.reports.push(connection);
  }

  created(peer?: string, resumed = false): void {
    this.#answered('created', peer, resumed);
    this.emit('created', { resumed, peer: this.fellow, iceServers: this.iceServers });
  }

  joined(peer: string, resumed = false): void {
    this.#answered('joined', peer, resumed);
    this.emit('joined', { resumed, peer: { id: peer }, iceServers: this.iceServers });
  }

  arrived(peer: string): void {
    this.role = 'created';
    this.fellow = { id: peer };
    this.emit('arrived', { peer: this.fellow });
  }

  left(reason: 'left' | 'lost'): void {
    const peer = this.fellow?.id ?? '';
    this.fellow = undefined;
    this.emit('left', { peer, reason });
  }

  signal(message: PeerMessage): void {
    this.emit('signal', message);
  }

  servers(iceServers: RTCIceServer[]): void {
    this.iceServers = iceServers;
    this.emit('ice-servers', iceServers);
  }

  /** The types of what was sent since the last call, candidates left out. */
  said(): string[] {
    return this.sent.splice(0).map(({ type }) => type).filter((type) => type !== 'candidate');
  }

  #answered(role: 'created' | 'joined', peer: string | undefined, resumed: boolean): void {
    this.status = 'inside';
    this.role = role;
    this.resumed = resumed;
    this.fellow = peer === undefined ? undefined : { id: peer };
  }
}
