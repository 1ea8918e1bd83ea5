// The call between the two of a room: who offers, when to begin anew, how to recover. It follows the room's
// events and needs nothing else; the talk about one RTCPeerConnection is `negotiation.ts`.
//
//   const call = new Call(room, { on: { stream: (stream) => (video.srcObject = stream) } });
//   call.start(await navigator.mediaDevices.getUserMedia({ audio: true, video: true }));
import { Emitter, type Handlers } from './emitter.ts';
import { type PeerMessage, type Signal, isSignal } from './messages.ts';
import { Negotiation } from './negotiation.ts';
import type { Room } from './signaling.ts';

/**
 * - `waiting`: nobody else is here.
 * - `negotiating`: the other one is here; offers, answers and candidates are on their way.
 * - `connected`: media flows.
 * - `interrupted`: media stopped and is being brought back.
 * - `over`: one of the two has hung up; both are still here.
 * - `ringing`: this side has hung up and the other one would like to talk again: `again` answers.
 */
export type CallState = 'waiting' | 'negotiating' | 'connected' | 'interrupted' | 'over' | 'ringing';

export interface CallEvents {
  state: CallState;
  /** What comes from the other one: one stream for each RTCPeerConnection; nothing when it is closed. */
  stream: MediaStream | undefined;
  error: unknown;
}

/** What a call needs of a room. */
export type CallRoom = Pick<Room, 'on' | 'send' | 'report' | 'fellow' | 'iceServers' | 'status' | 'role' | 'resumed'>;

export interface CallOptions {
  on?: Handlers<CallEvents>;
  /** Begin hung up, as before a reload. */
  over?: boolean;
  /** `relay` lets no candidate be used but those of a relay: for trying one, or to keep this side's addresses to itself. */
  iceTransportPolicy?: RTCIceTransportPolicy;
  createPeerConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

type Kind = 'audio' | 'video';
const KINDS: readonly Kind[] = ['audio', 'video'];

/** How long a lost path may come back by itself; the impolite side acts first, the polite one if that does not help. */
const DISCONNECTED_PATIENCE = { impolite: 3_000, polite: 8_000 };
const FAILED_PATIENCE = { impolite: 0, polite: 5_000 };
const REBUILD_MOST = 30_000;
/** How long to wait for the other one's next step before saying the own last one again. */
const STEP_PATIENCE = 10_000;
/** What is held while a person is being asked for the camera. */
const HELD_MOST = 200;

export class Call extends Emitter<CallEvents> {
  readonly #room: CallRoom;
  readonly #create: (configuration: RTCConfiguration) => RTCPeerConnection;
  readonly #policy: Pick<RTCConfiguration, 'iceTransportPolicy'>;
  readonly #stops: (() => void)[];
  readonly #tracks = new Map<Kind, MediaStreamTrack>();
  #media: MediaStream | undefined;
  /** Signals that came before this side's media was settled; nothing once it is. */
  #held: PeerMessage[] | undefined = [];
  /** `ready` is to be said once this side's media is settled. */
  #readyOnStart: { fence: boolean } | undefined;
  #state: CallState = 'waiting';
  #polite = false;
  #fellow: string | undefined;
  /** The other one's seat is lost, but its media still flows. */
  #seatLost = false;
  #overByMe: boolean;
  #negotiation: Negotiation | undefined;
  #fenced = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: CallRoom, options: CallOptions = {}) {
    super();
    this.#room = room;
    this.#overByMe = options.over ?? false;
    this.#policy = options.iceTransportPolicy ? { iceTransportPolicy: options.iceTransportPolicy } : {};
    this.#create = options.createPeerConnection ?? ((configuration) => new RTCPeerConnection(configuration));
    if (options.on) this.onEach(options.on);
    this.#stops = [
      room.on('created', ({ peer, resumed }) => this.#seated(peer?.id, false, resumed)),
      room.on('joined', ({ peer, resumed }) => this.#seated(peer.id, true, resumed)),
      room.on('arrived', ({ peer }) => this.#arrived(peer.id)),
      room.on('left', ({ reason }) => this.#left(reason === 'lost')),
      room.on('signal', (message) => this.#receive(message)),
      room.on('ice-servers', (iceServers) => this.#configure(iceServers)),
      room.on('ended', () => this.close()),
    ];
    if (room.status === 'inside') this.#seated(room.fellow?.id, room.role === 'joined', room.resumed);
  }

  get state(): CallState {
    return this.#state;
  }

  /**
   * This side's media is settled: what is to be sent, or nothing for only looking. Until then the other one's
   * signals are held.
   */
  start(media: MediaStream | undefined): void {
    this.#media = media;
    for (const track of media?.getTracks() ?? []) this.#tracks.set(track.kind as Kind, track);
    const held = this.#held ?? [];
    this.#held = undefined;
    const pending = this.#readyOnStart;
    this.#readyOnStart = undefined;
    // If the other one is ready already, this side offers instead of asking for an offer.
    if (pending && held.some(({ type }) => type === 'ready')) this.#fenced = pending.fence;
    else if (pending) this.#sayReady(pending.fence);
    for (const message of held) this.#receive(message);
  }

  /** Sends another track of a kind, or none, without a new negotiation where possible. */
  async replaceTrack(kind: Kind, track: MediaStreamTrack | null): Promise<void> {
    if (track) this.#tracks.set(kind, track);
    else this.#tracks.delete(kind);
    const transceivers = this.#negotiation?.pc.getTransceivers() ?? [];
    const transceiver = transceivers.find(({ sender, receiver }) => (sender.track ?? receiver.track).kind === kind);
    if (!transceiver) return;
    await transceiver.sender.replaceTrack(track);
    if (track && transceiver.direction === 'recvonly') transceiver.direction = 'sendrecv';
    if (track && transceiver.direction === 'inactive') transceiver.direction = 'sendonly';
  }

  /** Ends the call; both stay in the room. */
  hangUp(): void {
    this.#send({ type: 'bye' });
    this.#overByMe = true;
    this.#drop();
    this.#become(this.#fellow === undefined ? 'waiting' : 'over');
  }

  /** Calls again after a hang-up, or answers the other one who does. */
  again(): void {
    if (this.#state !== 'over' && this.#state !== 'ringing') return;
    const ringing = this.#state === 'ringing';
    this.#overByMe = false;
    this.#become('negotiating');
    if (ringing) this.#offer();
    else this.#sayReady(false);
  }

  /** Ends everything without a word to the other one. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#drop();
    this.#become('waiting');
  }

  /** The agent has answered a join. */
  #seated(peer: string | undefined, polite: boolean, resumed: boolean): void {
    const same = peer !== undefined && peer === this.#fellow;
    this.#seatLost = false;
    // Resumed: no signal was lost on the way, so whatever goes on goes on. Otherwise only flowing media does.
    if (same && this.#negotiation && (resumed || this.#flowing)) {
      this.#configure(this.#room.iceServers);
      if (!resumed) this.#bePolite(polite);
      if (this.#state === 'interrupted') this.#recover();
      return;
    }
    // Alone by the agent's account, as after its restart: the other one may be on its way back, its media is here.
    if (peer === undefined && !resumed && this.#flowing) {
      this.#seatLost = true;
      this.#configure(this.#room.iceServers);
      return this.#bePolite(false);
    }
    if (same && resumed && (this.#state === 'over' || this.#state === 'ringing')) return;
    this.#drop();
    this.#bePolite(polite);
    if (!resumed && !same && this.#fellow !== undefined) this.#overByMe = false;
    this.#fellow = peer;
    if (peer === undefined) return this.#become('waiting');
    if (this.#overByMe) return this.#become('over');
    this.#become('negotiating');
    // Who was there before, as a rule, offers. Who came back with nothing asks for an offer, whoever it was.
    if (polite || resumed) this.#sayReady(resumed);
  }

  /** A second one has come in, and says `ready` when it is. */
  #arrived(peer: string): void {
    const same = peer === this.#fellow;
    this.#seatLost = false;
    this.#bePolite(false);
    if (same && this.#flowing) return;
    this.#drop();
    this.#fellow = peer;
    if (!same) this.#overByMe = false;
    this.#become(this.#overByMe ? 'over' : 'negotiating');
  }

  #left(lost: boolean): void {
    // Only its way to the broker may be lost: the media goes on as long as it flows.
    if (lost && this.#flowing) {
      this.#seatLost = true;
      return;
    }
    this.#gone();
  }

  #gone(): void {
    this.#seatLost = false;
    this.#overByMe = false;
    this.#fellow = undefined;
    this.#drop();
    this.#become('waiting');
  }

  get #flowing(): boolean {
    return this.#negotiation?.pc.connectionState === 'connected';
  }

  #receive(message: PeerMessage): void {
    if (!isSignal(message)) return;
    if (this.#held) {
      if (this.#held.length < HELD_MOST) this.#held.push(message);
      return;
    }
    switch (message.type) {
      case 'ready':
        if (this.#overByMe) return this.#become('ringing');
        this.#fenced = false;
        return this.#offer();
      case 'bye':
        this.#drop();
        return this.#become('over');
      case 'offer':
        if (this.#overByMe || this.#fenced) return;
        if (this.#negotiation && !this.#negotiation.concerns(message)) this.#drop();
        return this.#current().receive(message);
      case 'answer':
        if (this.#overByMe || this.#fenced || !this.#negotiation) return;
        if (this.#negotiation.concerns(message)) return this.#negotiation.receive(message);
        // It has answered with another RTCPeerConnection than the one this side talks with.
        this.#drop();
        return this.#offer();
      case 'candidate':
        if (this.#overByMe || this.#fenced) return;
        return this.#current().receive(message);
    }
  }

  /**
   * "I have my media and you may offer." After a resume, offers and candidates that were meant for what this
   * peer was before may still be on their way: they come before the broker's acknowledgement.
   */
  #sayReady(fence: boolean): void {
    if (this.#held) {
      this.#readyOnStart = { fence };
      return;
    }
    this.#fenced = fence;
    const lift = () => (this.#fenced = false);
    this.#room.send({ type: 'ready' }).then(lift, lift);
  }

  /** Offers, on a fresh RTCPeerConnection unless the present one has not been answered yet. */
  #offer(): void {
    const present = this.#negotiation;
    if (present && !present.awaitsFirstAnswer && !present.untouched) this.#drop();
    if (this.#state !== 'interrupted') this.#become('negotiating');
    this.#current().offer();
  }

  /** The present negotiation, or a fresh one. */
  #current(): Negotiation {
    if (this.#negotiation) return this.#negotiation;
    const pc = this.#peerConnection();
    const negotiation = new Negotiation({
      pc,
      polite: this.#polite,
      send: (signal) => this.#send(signal),
      addMedia: (connection, offering) => this.#addMedia(connection, offering),
      onError: (error) => this.emit('error', error),
    });
    let stream: MediaStream | undefined;
    pc.ontrack = ({ track }) => {
      if (stream) return stream.addTrack(track);
      stream = new MediaStream([track]);
      this.emit('stream', stream);
    };
    pc.onconnectionstatechange = () => this.#connectionChanged(pc);
    this.#negotiation = negotiation;
    if (this.#state !== 'interrupted') this.#become('negotiating');
    return negotiation;
  }

  #peerConnection(): RTCPeerConnection {
    try {
      return this.#create({ ...this.#policy, iceServers: this.#room.iceServers });
    } catch (error) {
      // A server list that this browser cannot read must not keep two peers in one network from talking.
      this.emit('error', error);
      return this.#create({ ...this.#policy });
    }
  }

  #addMedia(pc: RTCPeerConnection, offering: boolean): void {
    for (const kind of KINDS) {
      const track = this.#tracks.get(kind);
      if (track) pc.addTrack(track, ...(this.#media ? [this.#media] : []));
      else if (offering) pc.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  #connectionChanged(pc: RTCPeerConnection): void {
    const { connectionState } = pc;
    this.#room.report(connectionState);
    clearTimeout(this.#timer);
    switch (connectionState) {
      case 'connected':
        this.#failures = 0;
        return this.#become('connected');
      case 'disconnected':
      case 'failed':
        if (this.#seatLost) return this.#gone();
        this.#become('interrupted');
        return this.#recover();
    }
  }

  /** Brings the media back: new candidates first, a fresh RTCPeerConnection if they do not help. */
  #recover(): void {
    const pc = this.#negotiation?.pc;
    clearTimeout(this.#timer);
    if (!pc) return;
    const side = this.#polite ? 'polite' : 'impolite';
    const failed = pc.connectionState === 'failed';
    let wait = failed ? FAILED_PATIENCE[side] : DISCONNECTED_PATIENCE[side];
    if (failed && this.#failures > 0) wait += Math.min(1_000 * 2 ** this.#failures, REBUILD_MOST);
    this.#timer = setTimeout(() => {
      const negotiation = this.#negotiation;
      // Without the broker nothing could be said; the resume comes back here.
      if (!negotiation || negotiation.pc !== pc || pc.connectionState === 'connected' || this.#room.status !== 'inside') return;
      if (pc.connectionState === 'failed') this.#failures += 1;
      if (this.#failures <= 1) return negotiation.restartIce();
      this.#drop();
      this.#offer();
    }, wait);
  }

  /**
   * Fresh servers are for the next gathering, and no restart of ICE is made for their sake: an allocation at a relay
   * belongs to the credentials that it was made with (RFC 8656, 5), which keep it alive also when they have expired
   * since, so a path that is there stays. When one breaks, the restart that brings it back gathers with the fresh ones.
   */
  #configure(iceServers: RTCIceServer[]): void {
    const pc = this.#negotiation?.pc;
    try {
      // What is left out would go back to its default, or may not be changed.
      pc?.setConfiguration({ ...pc.getConfiguration(), iceServers });
    } catch (error) {
      this.emit('error', error);
    }
  }

  #bePolite(polite: boolean): void {
    this.#polite = polite;
    if (this.#negotiation) this.#negotiation.polite = polite;
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#fenced = false;
    const negotiation = this.#negotiation;
    if (!negotiation) return;
    this.#negotiation = undefined;
    negotiation.close();
    this.#room.report('closed');
    this.emit('stream', undefined);
  }

  #send(signal: Signal): void {
    // A signal that finds nobody is told of by `left`; one that the broker refuses, by an `error` in the inbox.
    this.#room.send(signal).catch(() => {});
  }

  /** A step that was lost on the way is said again: an offer, or else `ready`, which asks for one. */
  #sayAgain(): void {
    if (this.#state !== 'negotiating') return;
    const negotiation = this.#negotiation;
    if (negotiation?.awaitsFirstAnswer) negotiation.offer();
    else if (!negotiation || negotiation.untouched) this.#sayReady(false);
    this.#awaitStep();
  }

  #awaitStep(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#sayAgain(), STEP_PATIENCE);
  }

  #become(state: CallState): void {
    if (this.#state === state) return;
    this.#state = state;
    if (state === 'negotiating') this.#awaitStep();
    this.emit('state', state);
  }
}
