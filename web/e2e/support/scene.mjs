// What a test needs: a broker and browser windows on it, and at the end the look whether all of them were clean.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { Broker } from './broker.mjs';
import { Peer } from './peer.mjs';
import { recorder } from './recorder.mjs';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // The candidates have 127.0.0.1 among them, and no name that would be announced to the network by mDNS.
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];
export const DEVICES = ['camera', 'microphone'];
const CLIPBOARD = ['clipboard-read', 'clipboard-write'];
const FAKE_DEVICES = '--use-fake-device-for-media-stream';

/** @param {{ devices?: boolean }} [options] `devices`: whether there is a (fake) camera and a microphone */
export function launch({ devices = true } = {}) {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: devices ? [...FLAGS, FAKE_DEVICES] : FLAGS });
}

/**
 * A browser whose process is known.
 *
 * @typedef {object} Served
 * @property {import('playwright-core').Browser} browser
 * @property {number} pid
 * @property {() => Promise<void>} stop
 */

/** @returns {Promise<Served>} */
export async function serve() {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  const server = await chromium.launchServer({ executablePath, args: [...FLAGS, FAKE_DEVICES] });
  const pid = server.process().pid;
  if (pid === undefined) throw new Error('the browser has no process');
  return { browser: await chromium.connect(server.wsEndpoint()), pid, stop: () => server.close() };
}

/**
 * @typedef {object} Look
 * @property {string} [name] who this is, in messages
 * @property {string} [path] what to open; `/` if left out
 * @property {boolean} [allow] whether camera and microphone are allowed; they are if left out
 * @property {import('playwright-core').BrowserContextOptions} [context]
 * @property {import('playwright-core').BrowserContext} [within] a profile that is there already
 */

/**
 * What serves the page.
 *
 * @typedef {object} Server
 * @property {string} origin its address, without a slash at the end
 * @property {() => Promise<void>} stop
 */

/** @template {Server} [S=Broker] */
export class Scene {
  /** @type {Peer[]} */
  #peers = [];
  /** @type {import('playwright-core').BrowserContext[]} */
  #contexts = [];
  #browser;
  broker;

  /**
   * @param {import('playwright-core').Browser} browser
   * @param {S} broker
   */
  constructor(browser, broker) {
    this.#browser = browser;
    this.broker = broker;
  }

  /**
   * Ends with the test, which fails if a page complained, broke its policy or asked another origin for anything.
   *
   * @param {import('node:test').TestContext} t
   * @param {import('playwright-core').Browser} browser
   * @param {import('./broker.mjs').Setting} [setting] of the broker
   */
  static async begin(t, browser, setting) {
    const scene = new Scene(browser, await Broker.start(setting));
    t.after(() => scene.end());
    return scene;
  }

  /**
   * Opens a window with a fresh profile.
   *
   * @param {Look} [look]
   */
  async open({ name = `peer ${this.#peers.length + 1}`, path = '/', allow = true, context: options, within } = {}) {
    const context = within ?? (await this.context({ allow, ...(options && { options }) }));
    const peer = new Peer(name, await context.newPage(), this.broker.origin);
    this.#peers.push(peer);
    await peer.goto(path);
    return peer;
  }

  /** @param {{ allow?: boolean, options?: import('playwright-core').BrowserContextOptions }} [look] */
  async context({ allow = true, options } = {}) {
    const context = await this.#browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 }, ignoreHTTPSErrors: true, ...options });
    this.#contexts.push(context);
    await context.grantPermissions(allow ? [...DEVICES, ...CLIPBOARD] : CLIPBOARD, { origin: this.broker.origin });
    await context.addInitScript(recorder);
    return context;
  }

  /**
   * Takes a window that a page has opened by itself.
   *
   * @param {string} name
   * @param {import('playwright-core').Page} page
   */
  adopt(name, page) {
    const peer = new Peer(name, page, this.broker.origin);
    this.#peers.push(peer);
    return peer;
  }

  async end() {
    try {
      for (const peer of this.#peers) await peer.note();
      for (const context of this.#contexts) await context.close();
    } finally {
      await this.broker.stop();
    }
    assert.deepEqual(this.#peers.flatMap(({ complaints }) => complaints), []);
  }
}
