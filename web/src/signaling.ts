// A seat in a room: joins, says what the agent and the other peer say, sends, and comes back by itself when
// the broker is lost. Knows nothing of media; `call.ts` does the call itself.
//
//   const room = await join({ url: 'wss://example.org/mqtt', room: 'lobby', on: { signal: (message) => … } });
//   await room.send({ type: 'ready' });
import { Connection, type Connect, type ConnectionEnd, type Refused, type Timers } from './connection.ts';
import { Emitter, type Handlers } from './emitter.ts';
import { newPeerId } from './identity.ts';
import {
  type ClosedReason,
  type FromAgent,
  type LeftReason,
  type Peer,
  type PeerMessage,
  type ToAgent,
  MessageError,
  parseFromAgent,
  parseFromPeer,
} from './messages.ts';
import { AGENT, NameError, peerProblem, roomProblem, sender, topic } from './names.ts';
import { tokenClaims } from './token.ts';

export interface JoinOptions {
  /** Where the broker speaks MQTT over WebSocket: `ws://` or `wss://`. */
  url: string | URL;
  room: string;
  /** Who to be; the one that the token names, else a new name, if left out. It must be nobody else's. */
  peer?: string;
  /** A token that says who this is (a JSON Web Token, sent as MQTT password), in place of user name and password. */
  token?: string;
  /** What the other one is shown, up to 1 KiB of JSON. */
  info?: Record<string, unknown>;
  username?: string;
  password?: string;
  /** Listeners that must not miss the first events. */
  on?: Handlers<RoomEvents>;
  /** Timers that run while the page is hidden; the browser's own if left out. */
  timers?: Timers;
  /** Stands in for mqtt.js. */
  connect?: Connect;
}

/**
 * - `connecting`: on the way to the broker for the first time.
 * - `joining`: connected; the agent has been asked.
 * - `inside`: in the room.
 * - `reconnecting`: the broker is lost or was not reached; a seat is kept for the grace time.
 * - `ended`: over; `ended` has said why.
 */
export type RoomStatus = 'connecting' | 'joining' | 'inside' | 'reconnecting' | 'ended';

/** Why it is over for good. */
export type RoomEnd =
  | { why: 'left' }
  | { why: 'full' }
  | { why: 'closed'; reason: ClosedReason }
  | { why: 'taken-over' }
  | { why: 'refused'; refused: Refused | 'room' | 'version'; message: string };

export interface RoomEvents {
  status: RoomStatus;
  /** The first one in. After a resume, `peer` is the other one if there is one. */
  created: { resumed: boolean; peer: Peer | undefined; iceServers: RTCIceServer[] };
  joined: { resumed: boolean; peer: Peer; iceServers: RTCIceServer[] };
  full: undefined;
  arrived: { peer: Peer };
  left: { peer: string; reason: LeftReason };
  closed: { reason: ClosedReason };
  /** What the other one says. */
  signal: PeerMessage;
  'ice-servers': RTCIceServer[];
  error: { code: string; message: string };
  /** So many joins in a row were not answered. */
  unanswered: number;
  ended: RoomEnd;
}

/** Thrown by `join` when there is no way in. */
export class JoinError extends Error {
  readonly end: RoomEnd;

  constructor(end: RoomEnd) {
    super(end.why === 'refused' ? end.message : end.why === 'full' ? 'the room is full' : `not joined: ${end.why}`);
    this.name = 'JoinError';
    this.end = end;
  }
}

/** A join is idempotent, so one that is not answered is simply said again. */
const ANSWER_WITHIN = 2_000;
/** A lease is renewed, by joining again, when this part of it has passed: two joins may be lost. */
const LEASE_PARTS = 3;
/** Waits before the next attempt: quick at first, to be back within the grace time, and never longer than leaves time to be
 * back five seconds after the broker. */
const RETRY_FIRST = 250;
const RETRY_MOST = 4_000;
/** A connection that ends sooner than this after it was ready has been cut by somebody, not by the weather. */
const CUT_SHORT = 3_000;
const CUT_SHORT_MOST = 4;
/** What is kept for sending while the broker is lost, as much as it would keep for us. */
const OUTBOX_MOST = 100;
/** Signals of a peer that the agent has not named yet (they may overtake the naming), or that nobody listens to yet. */
const EARLY_MOST = 16;

const nativeTimers: Timers = {
  set: (callback, milliseconds) => setInterval(callback, milliseconds) as unknown as number,
  clear: (timer) => clearInterval(timer),
};

interface Outgoing {
  payload: string;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * Takes a seat.
 *
 * @returns the room, once inside
 * @throws NameError for a name that breaks the rules
 * @throws JoinError when the room is full, the broker refuses, or the seat is taken away before
 */
export function join(options: JoinOptions): Promise<Room> {
  return new Promise((resolve, reject) => {
    const room = new Room(options);
    room.on('created', () => resolve(room));
    room.on('joined', () => resolve(room));
    room.on('ended', (end) => reject(new JoinError(end)));
  });
}

/** The seat. Made at once; events tell what becomes of it. */
export class Room extends Emitter<RoomEvents> {
  readonly name: string;
  readonly me: string;
  readonly #options: JoinOptions;
  #status: RoomStatus = 'connecting';
  #role: 'created' | 'joined' | undefined;
  #resumed = false;
  #fellow: Peer | undefined;
  #iceServers: RTCIceServer[] = [];
  #connection: Connection | undefined;
  #ready = false;
  #readyAt = 0;
  #cutShort = 0;
  #attempts = 0;
  #unanswered = 0;
  #timer: number | undefined;
  readonly #timers: Timers;
  #rev = 0;
  #been = false;
  #outbox: Outgoing[] = [];
  #unacknowledged: Outgoing[] = [];
  #early: { from: string; message: PeerMessage }[] = [];
  #state: ToAgent | undefined;
  readonly #online = () => this.#retryNow();

  /** @throws NameError for a room name or peer id that breaks the rules */
  constructor(options: JoinOptions) {
    super();
    const { token } = options;
    const me = options.peer ?? (token === undefined ? undefined : tokenClaims(token).peer) ?? newPeerId();
    const inRoom = roomProblem(options.room);
    if (inRoom) throw new NameError('room name', inRoom);
    const inPeer = peerProblem(me);
    if (inPeer) throw new NameError('peer id', inPeer);
    this.name = options.room;
    this.me = me;
    this.#options = options;
    this.#timers = options.timers ?? nativeTimers;
    if (options.on) this.onEach(options.on);
    globalThis.addEventListener?.('online', this.#online);
    this.#connect();
  }

  override on<Name extends keyof RoomEvents>(name: Name, listener: (detail: RoomEvents[Name]) => void): () => void {
    const stop = super.on(name, listener);
    if (name === 'signal' && this.#early.length > 0) queueMicrotask(() => this.#hearEarly());
    return stop;
  }

  get status(): RoomStatus {
    return this.#status;
  }

  /** Who was there first `created`, the other one `joined`: it is the polite one in a negotiation. */
  get role(): 'created' | 'joined' | undefined {
    return this.#role;
  }

  /** Whether the last answer gave back a seat that was held before. */
  get resumed(): boolean {
    return this.#resumed;
  }

  /** The other one, if the agent has named one. */
  get fellow(): Peer | undefined {
    return this.#fellow;
  }

  /** For `RTCPeerConnection`, as it is. */
  get iceServers(): RTCIceServer[] {
    return this.#iceServers;
  }

  /**
   * Says something to the other one. While the broker is lost it is kept, and sent if the seat is resumed.
   *
   * @returns when the broker has taken it
   * @throws Error when there is nobody to say it to, or the broker refuses it
   */
  send(message: PeerMessage): Promise<void> {
    if (!this.#fellow) return Promise.reject(new Error('nobody else is in the room'));
    return new Promise((resolve, reject) => {
      this.#outbox.push({ payload: JSON.stringify(message), resolve, reject });
      if (this.#outbox.length > OUTBOX_MOST) {
        this.#outbox.shift()?.reject(new Error(`more than ${OUTBOX_MOST} messages wait for the broker`));
      }
      this.#flush();
    });
  }

  /** Tells the agent how the call itself is doing; the last word is said again after a reconnection. */
  report(connection: RTCPeerConnectionState, detail?: string): void {
    this.#state = detail === undefined ? { type: 'state', connection } : { type: 'state', connection, detail };
    if (this.#status === 'inside') this.#tell(this.#state);
  }

  /** Gives the seat up and disconnects. */
  leave(): void {
    if (this.#status === 'ended') return;
    if (this.#ready) this.#tell({ type: 'leave' });
    this.#end({ why: 'left' });
  }

  #connect(): void {
    this.#ready = false;
    const { token } = this.#options;
    this.#connection = new Connection(
      {
        url: String(this.#options.url),
        clientId: this.me,
        // A password needs a user name beside it in MQTT 3.1.1; beside a token it means nothing.
        username: token === undefined ? this.#options.username : this.me,
        password: token ?? this.#options.password,
        timers: this.#options.timers,
        inbox: topic(this.name, this.me, '+'),
        onReady: () => {
          this.#ready = true;
          this.#readyAt = Date.now();
          this.#unanswered = 0;
          if (!this.#been) this.#become('joining');
          this.#join();
        },
        onMessage: (name, payload) => this.#receive(name, payload),
        onEnd: (end) => this.#lost(end),
      },
      this.#options.connect,
    );
  }

  #join(): void {
    const { info } = this.#options;
    this.#tell(info === undefined ? { type: 'join', v: 1 } : { type: 'join', v: 1, info });
    this.#after(ANSWER_WITHIN, () => {
      this.#unanswered += 1;
      // Inside, it was the lease that was to be renewed: the call goes on meanwhile.
      if (this.#status !== 'inside') this.emit('unanswered', this.#unanswered);
      if (this.#ready) this.#join();
    });
  }

  #lost(end: ConnectionEnd): void {
    this.#connection = undefined;
    const wasReady = this.#ready;
    this.#ready = false;
    if (this.#status === 'ended') return;
    this.#outbox.unshift(...this.#unacknowledged.splice(0));
    if (end.why === 'taken-over') return this.#end({ why: 'taken-over' });
    if (end.why === 'refused') return this.#end(end);
    // A broker of MQTT 3.1.1 cuts the older of two connections with one name without a word: two tabs would
    // throw each other out for ever.
    if (wasReady) this.#cutShort = !end.said && Date.now() - this.#readyAt < CUT_SHORT ? this.#cutShort + 1 : 0;
    if (this.#cutShort >= CUT_SHORT_MOST) return this.#end({ why: 'taken-over' });
    if (wasReady && Date.now() - this.#readyAt >= CUT_SHORT) this.#attempts = 0;
    this.#become('reconnecting');
    const wait = Math.min(RETRY_FIRST * 2 ** this.#attempts, RETRY_MOST);
    this.#attempts += 1;
    // Half of it by chance, so that a broker that starts again is not met by everybody at once.
    this.#after(wait / 2 + (Math.random() * wait) / 2, () => this.#connect());
  }

  #retryNow(): void {
    if (this.#status === 'ended' || this.#connection) return;
    this.#attempts = 0;
    this.#after(0, () => this.#connect());
  }

  #receive(name: string, payload: Uint8Array): void {
    const from = sender(name, this.name, this.me);
    if (from === undefined) return;
    try {
      if (from === AGENT) this.#fromAgent(parseFromAgent(payload));
      else this.#fromPeer(from, parseFromPeer(payload));
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.emit('error', { code: 'bad-message', message: `from ${from}: ${error.message}` });
    }
  }

  #fromAgent(message: FromAgent | undefined): void {
    if (!message) return;
    // With several agents at work a message may come after a newer one, or twice.
    if (message.rev !== undefined) {
      if (message.rev <= this.#rev) return;
      this.#rev = message.rev;
    }
    switch (message.type) {
      case 'created':
      case 'joined': {
        const { resumed } = message;
        this.#iceServers = message.ice_servers;
        const again = this.#status === 'inside';
        this.#stopTimer();
        this.#unanswered = 0;
        if (message.lease !== undefined) this.#after((message.lease * 1000) / LEASE_PARTS, () => this.#join());
        if (again && message.peer?.id === this.#fellow?.id) return this.emit('ice-servers', message.ice_servers);
        this.#meet(message.peer);
        // A seat that was not resumed has been lost in between, and the other one has been told so.
        if (!resumed) this.#forget();
        this.#been = true;
        this.#role = message.type;
        this.#resumed = resumed;
        this.#become('inside');
        const iceServers = message.ice_servers;
        if (message.type === 'joined') this.emit('joined', { resumed, peer: message.peer, iceServers });
        else this.emit('created', { resumed, peer: message.peer, iceServers });
        if (this.#state && resumed) this.#tell(this.#state);
        this.#flush();
        this.#hearEarly();
        return;
      }
      case 'full':
        this.emit('full', undefined);
        return this.#end({ why: 'full' });
      case 'arrived':
        this.#role = 'created';
        this.#resumed = false;
        this.#meet(message.peer);
        this.emit('arrived', { peer: message.peer });
        return this.#hearEarly();
      case 'left':
        if (this.#fellow?.id !== message.peer) return;
        this.#meet(undefined);
        return this.emit('left', { peer: message.peer, reason: message.reason });
      case 'closed':
        this.emit('closed', { reason: message.reason });
        return this.#end({ why: 'closed', reason: message.reason });
      case 'ice-servers':
        this.#iceServers = message.ice_servers;
        return this.emit('ice-servers', message.ice_servers);
      case 'error':
        this.emit('error', { code: message.code, message: message.message });
        // Saying the same again would be answered the same. Inside, something else than the join was forbidden.
        if (message.code === 'unsupported-version') this.#end({ why: 'refused', refused: 'version', message: message.message });
        else if (message.code === 'forbidden' && this.#status !== 'inside') this.#end({ why: 'refused', refused: 'room', message: message.message });
        return;
    }
  }

  #fromPeer(from: string, message: PeerMessage): void {
    if (from === this.#fellow?.id && this.hasListener('signal')) return this.emit('signal', message);
    // On a broker with static rules anybody may write to an inbox. Only the one that the agent names counts.
    const mayCount = this.#fellow === undefined || from === this.#fellow.id;
    if (mayCount && this.#early.length < EARLY_MOST) this.#early.push({ from, message });
  }

  #hearEarly(): void {
    if (!this.hasListener('signal')) return;
    const early = this.#early;
    this.#early = [];
    for (const { from, message } of early) {
      if (from === this.#fellow?.id) this.emit('signal', message);
    }
  }

  /** From now on the other one is `peer`: what was meant for somebody else is not sent any more. */
  #meet(peer: Peer | undefined): void {
    if (peer?.id !== this.#fellow?.id) this.#forget();
    this.#fellow = peer;
  }

  #flush(): void {
    const connection = this.#connection;
    while (this.#status === 'inside' && this.#ready && this.#fellow && connection) {
      const next = this.#outbox.shift();
      if (!next) return;
      this.#unacknowledged.push(next);
      connection.publish(topic(this.name, this.#fellow.id, this.me), next.payload).then(
        () => {
          if (this.#take(next)) next.resolve();
        },
        (error: Error) => {
          // If the connection is gone, `#lost` has put it back for the resume.
          if (connection === this.#connection && this.#take(next)) next.reject(error);
        },
      );
    }
  }

  #take(message: Outgoing): boolean {
    const at = this.#unacknowledged.indexOf(message);
    if (at >= 0) this.#unacknowledged.splice(at, 1);
    return at >= 0;
  }

  #forget(): void {
    for (const { reject } of [...this.#unacknowledged.splice(0), ...this.#outbox.splice(0)]) {
      reject(new Error('the other one is gone'));
    }
  }

  #tell(message: ToAgent): void {
    // A refusal comes as an `error` message in the inbox; a lost connection ends in a new join.
    this.#connection?.publish(topic(this.name, AGENT, this.me), JSON.stringify(message)).catch(() => {});
  }

  #become(status: RoomStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.emit('status', status);
  }

  #after(milliseconds: number, then: () => void): void {
    this.#stopTimer();
    this.#timer = this.#timers.set(() => {
      this.#stopTimer();
      then();
    }, milliseconds);
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#timers.clear(this.#timer);
    this.#timer = undefined;
  }

  #end(end: RoomEnd): void {
    if (this.#status === 'ended') return;
    this.#stopTimer();
    globalThis.removeEventListener?.('online', this.#online);
    this.#meet(undefined);
    this.#become('ended');
    this.#connection?.end();
    this.#connection = undefined;
    this.emit('ended', end);
  }
}
