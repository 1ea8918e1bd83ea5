// A broker of its own for each test: the real binary on free ports of the loopback address.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { within } from './wait.mjs';

const STARTS_WITHIN = 10_000;
/** A stop gives up after 2 s; a busy machine may take longer to notice. */
const STOPS_WITHIN = 10_000;
const FREE = '127.0.0.1:0';

/** Those that run, so that none is left behind when the tests are cut short. */
const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The binary: `DUET_BROKER`, else what Cargo has built, the release before the debug one. */
function binary() {
  const named = process.env['DUET_BROKER'];
  const built = ['release', 'debug'].map((profile) => fileURLToPath(new URL(`../../../target/${profile}/broker`, import.meta.url)));
  const found = (named ? [named] : built).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(`there is no broker at ${named ?? built.join(' or ')}: run \`cargo build --release\`, or name one in DUET_BROKER`);
}

/**
 * @typedef {object} Setting
 * @property {string[]} [flags] further flags
 * @property {boolean} [https] serve the page over HTTPS alone, with a certificate that nobody has signed
 */

export class Broker {
  /** @type {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, import('node:stream').Readable> | undefined} */
  #process;
  #log = '';
  #stateDir = '';
  /** @type {string[]} */
  #flags = [];
  #scheme = 'http';
  /** Where it listens, as `host:port`; kept across restarts. */
  mqtt = FREE;
  http = FREE;

  /** @param {Setting} [setting] */
  static async start({ flags = [], https = false } = {}) {
    const broker = new Broker();
    broker.#stateDir = await mkdtemp(join(tmpdir(), 'duet-e2e-'));
    broker.#flags = flags;
    if (https) await broker.#certify();
    await broker.restart();
    return broker;
  }

  /** The address of the page, without a slash at the end. */
  get origin() {
    // The name that the certificate has.
    return this.#scheme === 'https' ? `https://localhost:${this.http.split(':').at(-1)}` : `http://${this.http}`;
  }

  get pid() {
    return this.#process?.pid ?? 0;
  }

  /** Starts the process, on the ports that it had before if there were any. */
  async restart() {
    const page = this.#scheme === 'https' ? ['--http', 'off', '--https', this.http] : ['--http', this.http];
    const flags = ['--mqtt', this.mqtt, ...page, '--state-dir', this.#stateDir, '--log', 'warn', ...this.#flags];
    // Only what is said here counts, not what the surroundings or the present folder configure.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DUET_')));
    const child = spawn(binary(), flags, { stdio: ['ignore', 'pipe', 'pipe'], env, cwd: this.#stateDir });
    this.#process = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr.on('data', (text) => (this.#log += text));
    // The rest of the output has to be taken too, or the pipe fills up; 'line' goes on after the addresses are known.
    const lines = createInterface(child.stdout);
    const announced = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const [, protocol, address] = /^(mqtt|https?) listening on (\S+)$/.exec(line) ?? [];
        if (protocol === 'mqtt' && address) this.mqtt = address;
        if (protocol === this.#scheme && address) resolve((this.http = address));
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`the broker ended (${code ?? signal}) before it listened:\n${this.#log}`)));
    });
    await within(STARTS_WITHIN, announced, () => `the broker says where it listens; it said:\n${this.#log}`);
  }

  /** Makes a certificate for trying, as the README says. */
  async #certify() {
    await promisify(execFile)(binary(), ['cert', '--host', 'localhost', '--out', this.#stateDir]);
    this.#scheme = 'https';
    this.#flags = [...this.#flags, '--certificate', join(this.#stateDir, 'cert.pem'), '--key', join(this.#stateDir, 'key.pem')];
  }

  /** Ends it as a crash does: nobody is told anything. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Ends it as Ctrl-C does. */
  async stop() {
    const code = await this.#end('SIGTERM');
    await rm(this.#stateDir, { recursive: true, force: true });
    if (code !== undefined && code !== 0) throw new Error(`the broker ended with ${code}:\n${this.#log}`);
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#process;
    this.#process = undefined;
    if (!child) return undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
    const exit = once(child, 'exit');
    child.kill(signal);
    try {
      const [code, by] = await within(STOPS_WITHIN, exit, () => `the broker ends on ${signal}`);
      return code ?? by;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }
}
