// Peers with mqtt.js 5 that come back by themselves, and negotiate for ever, as those of `fleet.rs` do.
//
//     node peers.mjs ws://127.0.0.1:8080/mqtt KEEP_ALIVE ROOM/PEER ROOM/PEER …
//
// Each says on stdout what becomes of it: `PEER in`, `PEER through SESSION` when a negotiation is through on its side,
// `PEER lost` when its connection is.
import { createRequire } from 'node:module';

const mqtt = createRequire(new URL('../../../web/package.json', import.meta.url))('mqtt');

/** Milliseconds, before each attempt to come back. */
const RECONNECT = 250;
/** Before a call that stands is negotiated anew. */
const AGAIN = 500;

const [url, keepalive, ...places] = process.argv.slice(2);

class Peer {
  #room;
  #me;
  #client;
  #fellow;
  #role;
  /** The negotiation: who offered has the number in it. */
  #session;
  #heard = { description: false, candidate: false };
  #number = 0;
  #timer;

  constructor(room, me) {
    this.#room = room;
    this.#me = me;
    this.#client = mqtt.connect(url, { clientId: me, protocolVersion: 5, clean: true, keepalive: Number(keepalive), reconnectPeriod: RECONNECT, resubscribe: false, queueQoSZero: false });
    this.#client.on('connect', () => {
      this.#client.subscribe(`rooms/+/${me}/+`, { qos: 1 }, (error) => {
        if (!error) this.#say('agent', { type: 'join' });
      });
    });
    this.#client.on('message', (topic, payload) => this.#hear(topic.split('/')[3], JSON.parse(payload)));
    this.#client.on('close', () => {
      this.#begin(undefined);
      console.log(me, 'lost');
    });
  }

  #say(to, message) {
    if (to && this.#client.connected) this.#client.publish(`rooms/${this.#room}/${to}/${this.#me}`, JSON.stringify(message), { qos: 1 });
  }

  #begin(session) {
    clearTimeout(this.#timer);
    this.#session = session;
    this.#heard = { description: false, candidate: false };
  }

  #candidate() {
    this.#say(this.#fellow, { type: 'candidate', candidate: { candidate: '', usernameFragment: this.#session } });
  }

  #offer() {
    this.#number += 1;
    this.#begin(`${this.#me}.${process.pid}.${this.#number}`);
    this.#say(this.#fellow, { type: 'offer', sdp: this.#session });
    this.#candidate();
  }

  #hear(from, message) {
    switch (message.type) {
      case 'created':
      case 'joined':
        console.log(this.#me, 'in');
        this.#role = message.type;
        if (message.peer) this.#fellow = message.peer.id;
        if (this.#fellow) this.#say(this.#fellow, { type: 'ready' });
        return;
      case 'arrived':
        this.#fellow = message.peer.id;
        return;
      case 'left':
        this.#fellow = undefined;
        return this.#begin(undefined);
      case 'ready':
        return from === this.#fellow ? this.#offer() : undefined;
      case 'offer':
        // Perfect negotiation: who was there first does not give way.
        if (from !== this.#fellow || (this.#role === 'created' && this.#session?.startsWith(`${this.#me}.`) && !this.#isThrough())) return;
        this.#begin(message.sdp);
        this.#heard.description = true;
        this.#say(from, { type: 'answer', sdp: message.sdp });
        return this.#candidate();
      case 'answer':
        if (message.sdp === this.#session) this.#heard.description = true;
        return this.#look();
      case 'candidate':
        if (message.candidate.usernameFragment === this.#session) this.#heard.candidate = true;
        return this.#look();
      default:
    }
  }

  #isThrough() {
    return this.#heard.description && this.#heard.candidate;
  }

  #look() {
    if (!this.#session || !this.#isThrough()) return;
    console.log(this.#me, 'through', this.#session);
    if (this.#session.startsWith(`${this.#me}.`)) this.#timer = setTimeout(() => this.#offer(), AGAIN);
  }
}

for (const place of places) {
  const [room, me] = place.split('/');
  new Peer(room, me);
}
