// A relay of its own for each test: Debian's coturn on free ports of the loopback address.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SOON, within } from './wait.mjs';

const LOOPBACK = '127.0.0.1';
const ANSWERS_WITHIN = 100;
/** STUN Binding request and success response, and the magic cookie (RFC 8489, 5). */
const [REQUEST, SUCCESS, COOKIE] = [0x0001, 0x0101, 0x2112a442];

/** Those that run, so that none is left behind when the tests are cut short. */
const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Coturn {
  #folder;
  #port = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  #log = '';
  /** Called with each line of its log. */
  #heard = () => {};

  /** @param {string} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /**
   * Ends with the test.
   *
   * @param {import('node:test').TestContext} t
   * @param {{ lifetime?: number }} [options] `lifetime`: of an allocation that is not refreshed, in seconds, at most
   */
  static async start(t, { lifetime } = {}) {
    const coturn = new Coturn(await mkdtemp(join(tmpdir(), 'duet-coturn-')));
    t.after(() => coturn.stop());
    const secret = randomBytes(16).toString('hex');
    await writeFile(coturn.secretFile, `${secret}\n`, { mode: 0o600 });
    const settings = [
      'use-auth-secret', `static-auth-secret=${secret}`, 'realm=example.test', 'no-tls', 'no-dtls', 'no-cli', 'allow-loopback-peers',
      `listening-ip=${LOOPBACK}`, `relay-ip=${LOOPBACK}`, 'log-file=stdout', 'simple-log', 'verbose',
      `pidfile=${join(coturn.#folder, 'pid')}`, `userdb=${join(coturn.#folder, 'db')}`, ...(lifetime ? [`max-allocate-lifetime=${lifetime}`] : []),
    ];
    await writeFile(coturn.#conf, settings.join('\n'), { mode: 0o600 });
    // It does not take port 0: somebody else may be faster.
    for (let left = 5; ; left -= 1) {
      if (await coturn.#tryOn(await freePort())) return coturn;
      if (left === 0) throw new Error(`coturn, Debian's package, does not answer:\n${coturn.#log}`);
    }
  }

  get #conf() {
    return join(this.#folder, 'turnserver.conf');
  }

  /** Holds the secret that a broker shares with it. */
  get secretFile() {
    return join(this.#folder, 'secret');
  }

  get port() {
    return this.#port;
  }

  get url() {
    return `turn:${LOOPBACK}:${this.#port}?transport=udp`;
  }

  /** What tells a broker of it. */
  get flags() {
    return this.flagsBy(this.#port);
  }

  /**
   * What tells a broker of it at another port, by which it is reached too.
   *
   * @param {number} port
   */
  flagsBy(port) {
    return ['--turn', `turn:${LOOPBACK}:${port}?transport=udp`, '--turn-secret-file', this.secretFile];
  }

  /** The usernames under which somebody got an allocation, the earliest first. */
  get users() {
    return Array.from(this.#log.matchAll(/user <([^>]+)>: incoming packet ALLOCATE processed, success/g), ([, user]) => String(user));
  }

  /**
   * Waits until it has logged something.
   *
   * @param {string} what in words
   * @param {(log: string) => boolean} found
   * @param {number} [deadline]
   */
  async logs(what, found, deadline = SOON) {
    const heard = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      this.#heard = () => found(this.#log) && resolve();
      this.#heard();
    });
    await within(deadline, heard, () => `coturn logs ${what}; it logged:\n${this.#log.split('\n').slice(-40).join('\n')}`);
  }

  async stop() {
    const child = this.#process;
    this.#process = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** @param {number} port */
  async #tryOn(port) {
    this.#port = port;
    const child = spawn('turnserver', ['-c', this.#conf, '--listening-port', String(port)], { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#process = child;
    running.add(child);
    const ended = once(child, 'exit').then(() => (running.delete(child), false), () => (running.delete(child), false));
    createInterface(child.stdout).on('line', (line) => {
      this.#log += `${line}\n`;
      this.#heard();
    });
    return Promise.race([ended, answers(port)]);
  }
}

/**
 * Whether somebody answers STUN there.
 *
 * @param {number} port
 */
async function answers(port) {
  const request = Buffer.alloc(20);
  request.writeUInt16BE(REQUEST, 0);
  request.writeUInt32BE(COOKIE, 4);
  randomBytes(12).copy(request, 8);
  const socket = createSocket('udp4');
  const say = () => socket.send(request, port, LOOPBACK);
  const timer = setInterval(say, ANSWERS_WITHIN);
  try {
    const answered = new Promise((resolve) => {
      socket.on('message', (answer) => {
        if (answer.length >= 20 && answer.readUInt16BE(0) === SUCCESS && answer.subarray(8, 20).equals(request.subarray(8))) resolve(true);
      });
      // Nobody listens yet.
      socket.on('error', () => {});
    });
    say();
    return await within(SOON, answered, () => 'coturn answers');
  } catch {
    return false;
  } finally {
    clearInterval(timer);
    socket.close();
  }
}

async function freePort() {
  const socket = createSocket('udp4');
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
