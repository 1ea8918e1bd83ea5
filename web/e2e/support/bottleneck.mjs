// A narrow path to a relay: datagrams to it wait in a queue, as in a router before a slow line, and are dropped when it is full.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const LOOPBACK = '127.0.0.1';
/** What the queue holds at most, as in a small router. */
const QUEUED_MS = 300;
/** Of IP and UDP, for each datagram. */
const HEADERS = 28;

export class Bottleneck {
  #front = createSocket('udp4');
  #width;
  #relay;
  /** By the port of who sends: the socket by which the relay sees it. */
  #clients = /** @type {Map<number, import('node:dgram').Socket>} */ (new Map());
  /** When the line is free again. */
  #free = 0;
  #timers = /** @type {Set<NodeJS.Timeout>} */ (new Set());

  /**
   * @param {number} relay
   * @param {number} width
   */
  constructor(relay, width) {
    this.#relay = relay;
    this.#width = width;
  }

  /**
   * Ends with the test.
   *
   * @param {import('node:test').TestContext} t
   * @param {number} relay its port
   * @param {number} width in bits a second, for all who go through it together
   */
  static async start(t, relay, width) {
    const bottleneck = new Bottleneck(relay, width);
    t.after(() => bottleneck.#stop());
    bottleneck.#front.on('message', (datagram, { port }) => bottleneck.#pass(datagram, port));
    bottleneck.#front.bind(0, LOOPBACK);
    await once(bottleneck.#front, 'listening');
    return bottleneck;
  }

  get port() {
    return this.#front.address().port;
  }

  /**
   * @param {Buffer} datagram
   * @param {number} from
   */
  #pass(datagram, from) {
    const now = performance.now();
    const begin = Math.max(now, this.#free);
    if (begin - now > QUEUED_MS) return;
    this.#free = begin + ((datagram.length + HEADERS) * 8_000) / this.#width;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#client(from).send(datagram, this.#relay, LOOPBACK);
    }, this.#free - now);
    this.#timers.add(timer);
  }

  /** @param {number} port */
  #client(port) {
    const known = this.#clients.get(port);
    if (known) return known;
    const socket = createSocket('udp4');
    socket.on('message', (datagram) => this.#front.send(datagram, port, LOOPBACK));
    this.#clients.set(port, socket);
    return socket;
  }

  #stop() {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#clients.values()) socket.close();
    this.#front.close();
  }
}
