// The program `camera`, as a process beside the broker of a test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SOON, within } from './wait.mjs';

/** Those that run, so that none is left behind when the tests are cut short. */
const running = /** @type {Set<import('node:child_process').ChildProcess>} */ (new Set());
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The binary: `DUET_CAMERA`, else what Cargo has built, the release before the debug one. */
export function binary() {
  const named = process.env['DUET_CAMERA'];
  const built = ['release', 'debug'].map((profile) => fileURLToPath(new URL(`../../../target/${profile}/camera`, import.meta.url)));
  const found = (named ? [named] : built).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(`there is no camera at ${named ?? built.join(' or ')}: run \`cargo build -p camera\`, or name one in DUET_CAMERA`);
}

/**
 * The memory of a process in MiB: the resident set, of which nothing is shared.
 *
 * @param {{ pid: number }} process
 */
export async function memory({ pid }) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

export class Camera {
  #process;
  #log = '';
  /** Called with each line of its log. */
  #heard = () => {};
  #exit;

  /** @param {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, null, import('node:stream').Readable>} child */
  constructor(child) {
    this.#process = child;
    running.add(child);
    this.#exit = once(child, 'exit').then(([code, by]) => (running.delete(child), this.#heard(), code ?? by));
    createInterface(child.stderr).on('line', (line) => {
      this.#log += `${line}\n`;
      this.#heard();
    });
  }

  /**
   * Starts a camera, which ends with the test.
   *
   * @param {import('node:test').TestContext} t
   * @param {import('./broker.mjs').Broker} broker
   * @param {string[]} flags
   * @param {{ waits?: boolean, input?: Buffer, programs?: string }} [options] `waits`: whether to wait until it is in its room;
   * it is if left out. `input`: what it is given on its standard input. `programs`: a folder with all that it may run
   */
  static async start(t, broker, flags, { waits = true, input, programs } = {}) {
    const all = ['--broker', `mqtt://${broker.mqtt}`, '--address', '127.0.0.1', ...flags];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DUET_')));
    if (programs) env['PATH'] = programs;
    const child = spawn(binary(), all, { stdio: ['pipe', 'ignore', 'pipe'], env });
    // It may end without having read everything.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const camera = new Camera(child);
    t.after(() => camera.stop());
    if (waits) await camera.says(/waiting for a viewer/);
    return camera;
  }

  get pid() {
    return this.#process.pid ?? 0;
  }

  get log() {
    return this.#log;
  }

  /**
   * Waits until it has said something.
   *
   * @param {RegExp} what
   * @param {number} [deadline]
   */
  async says(what, deadline = SOON) {
    const heard = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      this.#heard = () => what.test(this.#log) && resolve();
      this.#heard();
    });
    await within(deadline, heard, () => `the camera says ${what}; it said:\n${this.#log}`);
  }

  /** Waits until it has ended by itself; its exit code. */
  async ended(deadline = SOON) {
    return within(deadline, this.#exit, () => `the camera ends; it said:\n${this.#log}`);
  }

  /** Ends it as a power cut does: nobody is told anything. */
  async kill() {
    this.#process.kill('SIGKILL');
    await this.ended();
  }

  /** Ends it as Ctrl-C does. */
  async stop() {
    this.#process.kill('SIGTERM');
    try {
      await this.ended();
    } catch (error) {
      this.#process.kill('SIGKILL');
      throw error;
    }
  }
}
