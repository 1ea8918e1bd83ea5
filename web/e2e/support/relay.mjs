// The least that the page can be signaled through, in this very process: what it costs is what no broker can be below.
//
// It knows one subscription a client, two peers a room and nothing of what a broker is for: no rules, no limits, no
// grace time. Never to be used for anything but to compare with.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { generate, parser } from 'mqtt-packet';
import { WebSocketServer } from 'ws';

const V5 = { protocolVersion: 5 };

export class Relay {
  #server = createServer((request, response) => void this.#page(request.url ?? '/', response));
  /** The sockets of peers by their ids. */
  #peers = /** @type {Map<string, import('ws').WebSocket>} */ (new Map());
  /** Who is in which room, the first one first. */
  #rooms = /** @type {Map<string, string[]>} */ (new Map());
  #files = /** @type {Map<string, Promise<{ status: number, headers: [string, string][], body: Uint8Array }>>} */ (new Map());
  #rev = Date.now();
  #source;
  origin = '';

  /** @param {string} source where the page is got from, once */
  constructor(source) {
    this.#source = source;
  }

  /** @param {string} source */
  static async start(source) {
    const relay = new Relay(source);
    const sockets = new WebSocketServer({ server: relay.#server, path: '/mqtt', perMessageDeflate: false });
    sockets.on('connection', (socket) => relay.#serve(socket));
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    const address = relay.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the relay has no port');
    relay.origin = `http://127.0.0.1:${address.port}`;
    return relay;
  }

  async stop() {
    this.#server.closeAllConnections();
    for (const socket of this.#peers.values()) socket.terminate();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  /**
   * Serves a file of the page as the broker does, from memory.
   *
   * @param {string} path
   * @param {import('node:http').ServerResponse} response
   */
  async #page(path, response) {
    const known = this.#files.get(path) ?? this.#fetched(path);
    this.#files.set(path, known);
    try {
      const { status, headers, body } = await known;
      for (const [name, value] of headers) response.setHeader(name, value);
      response.writeHead(status).end(body);
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  }

  /** @param {string} path */
  async #fetched(path) {
    const answer = await fetch(this.#source + path);
    const body = new Uint8Array(await answer.arrayBuffer());
    // fetch has unpacked it, and the length is set anew.
    const headers = [...answer.headers].filter(([name]) => !['content-encoding', 'content-length', 'connection', 'transfer-encoding'].includes(name));
    return { status: answer.status, headers, body };
  }

  /** @param {import('ws').WebSocket} socket */
  #serve(socket) {
    let id = '';
    const packets = parser(V5);
    const send = (/** @type {import('mqtt-packet').Packet} */ packet) => socket.send(generate(packet, V5));
    packets.on('packet', (/** @type {import('mqtt-packet').Packet} */ packet) => {
      switch (packet.cmd) {
        case 'connect':
          id = packet.clientId;
          this.#peers.set(id, socket);
          return send({ cmd: 'connack', reasonCode: 0, sessionPresent: false });
        case 'subscribe':
          return send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: [1] });
        case 'pingreq':
          return send({ cmd: 'pingresp' });
        case 'publish':
          this.#published(id, packet);
          return packet.qos > 0 ? send({ cmd: 'puback', messageId: packet.messageId ?? 0, reasonCode: 0 }) : undefined;
        case 'disconnect':
          return socket.close();
        default:
          return undefined;
      }
    });
    socket.on('message', (bytes) => packets.parse(/** @type {Buffer} */ (bytes)));
    socket.on('close', () => {
      if (this.#peers.get(id) === socket) this.#peers.delete(id);
      for (const room of [...this.#rooms.keys()]) this.#leave(room, id);
    });
  }

  /**
   * @param {string} from
   * @param {import('mqtt-packet').IPublishPacket} packet
   */
  #published(from, { topic, payload }) {
    const [, room = '', to = ''] = topic.split('/');
    if (to !== 'agent') return this.#deliver(topic, to, payload);
    const { type } = JSON.parse(payload.toString());
    if (type === 'join') this.#join(room, from);
    if (type === 'leave') this.#leave(room, from);
  }

  /**
   * @param {string} topic
   * @param {string} to
   * @param {string | Buffer} payload
   */
  #deliver(topic, to, payload) {
    this.#peers.get(to)?.send(generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false }, V5));
  }

  /**
   * @param {string} room
   * @param {string} to
   * @param {object} message
   */
  #tell(room, to, message) {
    this.#rev += 1;
    this.#deliver(`rooms/${room}/${to}/agent`, to, JSON.stringify({ ...message, rev: this.#rev }));
  }

  /**
   * @param {string} room
   * @param {string} who
   */
  #join(room, who) {
    const members = this.#rooms.get(room) ?? [];
    const [other] = members;
    this.#rooms.set(room, [...members, who]);
    const answer = { v: 1, room, you: who, ice_servers: [], resumed: false };
    if (other === undefined) return this.#tell(room, who, { type: 'created', ...answer });
    this.#tell(room, who, { type: 'joined', ...answer, peer: { id: other } });
    this.#tell(room, other, { type: 'arrived', peer: { id: who } });
  }

  /**
   * @param {string} room
   * @param {string} who
   */
  #leave(room, who) {
    const members = this.#rooms.get(room) ?? [];
    if (!members.includes(who)) return;
    const left = members.filter((member) => member !== who);
    if (left.length > 0) this.#rooms.set(room, left);
    else this.#rooms.delete(room);
    for (const other of left) this.#tell(room, other, { type: 'left', peer: who, reason: 'left' });
  }
}
