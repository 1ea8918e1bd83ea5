// One window with the page in it, and what a person does and sees there.
import assert from 'node:assert/strict';
import { SOON, within } from './wait.mjs';

/** @typedef {Window & { record: import('./recorder.mjs').Record }} RecordedWindow */

/** Pictures that must come before a video counts as moving. */
const MOVING = 5;

export class Peer {
  name;
  page;
  #origin;
  /** @type {RegExp[]} */
  #expected = [];
  /** What must not be: console errors, exceptions, violations of the policy, requests to other origins. */
  complaints = /** @type {string[]} */ ([]);
  /** The addresses of the WebSockets that the page has opened. */
  sockets = /** @type {string[]} */ ([]);
  /** The text of all that came over them. */
  received = '';

  /**
   * @param {string} name
   * @param {import('playwright-core').Page} page
   * @param {string} origin
   */
  constructor(name, page, origin) {
    this.name = name;
    this.page = page;
    this.#origin = origin;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.#complain(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => this.#complain(`exception: ${error.stack ?? error.message}`));
    page.on('crash', () => this.#complain('the page crashed'));
    page.on('request', (request) => this.#asked(request.url()));
    page.on('websocket', (socket) => {
      this.sockets.push(socket.url());
      this.#asked(socket.url().replace(/^ws/, 'http'));
      socket.on('framereceived', ({ payload }) => (this.received += payload.toString()));
    });
  }

  /** @param {string} url */
  #asked(url) {
    if (new URL(url).origin !== this.#origin) this.#complain(`asked another origin: ${url}`);
  }

  /** @param {string} complaint */
  #complain(complaint) {
    if (!this.#expected.some((pattern) => pattern.test(complaint))) this.complaints.push(`${this.name}: ${complaint}`);
  }

  /**
   * From now on this is no complaint.
   *
   * @param {RegExp} pattern
   */
  expect(pattern) {
    this.#expected.push(pattern);
  }

  /** @param {string} path */
  async goto(path) {
    await this.page.goto(this.#origin + path);
  }

  /**
   * Types a room name and presses Join.
   *
   * @param {string} room
   */
  async join(room) {
    await this.page.locator('#room').fill(room);
    await this.press('#join');
  }

  /** @param {string} selector */
  async press(selector) {
    await this.page.locator(selector).click({ timeout: SOON });
  }

  /** @param {string} selector */
  text(selector) {
    return this.page.locator(selector).innerText({ timeout: SOON });
  }

  /**
   * Waits until the status line is in a state.
   *
   * @param {string} state
   * @param {number} [deadline]
   */
  async is(state, deadline = SOON) {
    try {
      await this.page.locator(`#status[data-state="${state}"]`).waitFor({ timeout: deadline });
    } catch {
      const { states } = await this.record();
      assert.fail(`${this.name} was to be ${state} within ${deadline} ms, but went ${states.join(' → ')}: ${await this.text('#status')}`);
    }
  }

  /** What the recorder has noted, without what cannot leave the page. */
  record() {
    return this.page.evaluate(() => {
      const { connections, ...rest } = /** @type {RecordedWindow} */ (/** @type {unknown} */ (window)).record;
      return { ...rest, connections: connections.length };
    });
  }

  /** How many connections the page has made, and the frames of the other one's video that the newest has decoded. */
  decoded() {
    return this.page.evaluate(async () => {
      const { connections } = /** @type {RecordedWindow} */ (/** @type {unknown} */ (window)).record;
      const stats = [...((await connections.at(-1)?.getStats()) ?? [])].map(([, entry]) => entry);
      const frames = stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')?.framesDecoded ?? 0;
      return { connection: connections.length, frames };
    });
  }

  /**
   * Which way the newest connection's packets go: the kinds of the two candidates that are in use, the own one's id, and
   * all kinds of own ones.
   */
  path() {
    return this.page.evaluate(async () => {
      const { connections } = /** @type {RecordedWindow} */ (/** @type {unknown} */ (window)).record;
      const stats = new Map((await connections.at(-1)?.getStats()) ?? []);
      const transport = [...stats.values()].find(({ type }) => type === 'transport');
      const pair = stats.get(transport?.selectedCandidatePairId);
      const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
      const own = [...stats.values()].filter(({ type }) => type === 'local-candidate').map(({ candidateType }) => String(candidateType));
      return { own: [...new Set(own)], id: String(local?.id), local: String(local?.candidateType), remote: String(remote?.candidateType) };
    });
  }

  /** Has the newest connection look for its way anew, as a browser does when the network changes. */
  async restartIce() {
    await this.page.evaluate(() => {
      const { connections } = /** @type {RecordedWindow} */ (/** @type {unknown} */ (window)).record;
      connections.at(-1)?.restartIce();
    });
  }

  /** Waits until the other one's video moves: some more pictures are shown, and as many are decoded on one connection. */
  async sees() {
    const { page } = this;
    for (;;) {
      const before = await this.decoded();
      const shown = page.evaluate((pictures) => {
        const video = document.querySelector('#peer-video');
        if (!(video instanceof HTMLVideoElement)) throw new Error('there is no #peer-video');
        return new Promise((resolve) => {
          let left = pictures;
          const count = () => (left-- > 0 ? video.requestVideoFrameCallback(count) : resolve(video.videoWidth > 0));
          count();
        });
      }, MOVING);
      const wide = await within(SOON, shown, () => `${this.name} sees ${MOVING} more pictures of the other one`);
      assert.ok(wide, `${this.name}: #peer-video has no width`);
      const now = await this.decoded();
      if (now.connection !== before.connection) continue;
      const more = now.frames - before.frames;
      // A picture that was decoded before may be the first one shown.
      assert.ok(more >= MOVING - 1, `${this.name} has decoded ${more} frames while ${MOVING} were shown`);
      return;
    }
  }

  /** Waits until this one is in a call and sees the other one. */
  async talks() {
    await this.is('connected');
    await this.sees();
  }

  /** The id that this tab has. */
  id() {
    return this.page.evaluate(() => sessionStorage.getItem('duet.peer'));
  }

  /** Adds what the page itself has noted to the complaints. */
  async note() {
    if (this.page.isClosed()) return;
    for (const violation of (await this.record()).violations) this.#complain(`policy: ${violation}`);
  }
}

/**
 * Waits until two are in a call and see one another.
 *
 * @param {Peer} one
 * @param {Peer} other
 */
export async function talking(one, other) {
  await Promise.all([one.talks(), other.talks()]);
}
