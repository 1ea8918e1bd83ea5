// Takes pictures of the page in all that it can be in, for people to look at, and the one for the README.
//
//   npm run screenshots -- FOLDER [--picture FILE]
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Broker } from './support/broker.mjs';
import { JUNHO, MINA, portrait } from './support/portrait.mjs';
import { Scene, launch } from './support/scene.mjs';

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

/**
 * @typedef {object} Set
 * @property {string} suffix of the file names
 * @property {import('playwright-core').BrowserContextOptions} look
 * @property {string} room
 * @property {boolean} [phone]
 */

/** @type {Set[]} */
const SETS = [
  { suffix: 'desktop', look: DESKTOP, room: 'lobby' },
  { suffix: 'phone', look: PHONE, room: 'lobby', phone: true },
  { suffix: 'desktop-dark', look: { ...DESKTOP, colorScheme: 'dark' }, room: 'lobby' },
  { suffix: 'phone-ko', look: { ...PHONE, locale: 'ko-KR' }, room: '현관 카메라', phone: true },
];

/**
 * @param {Scene} scene
 * @param {typeof MINA} person
 * @param {import('playwright-core').BrowserContextOptions} look
 * @param {boolean} upright whether the camera is held so
 */
async function open(scene, person, look, upright) {
  const context = await scene.context({ options: look });
  await context.addInitScript(portrait, { ...person, ...(upright ? { width: 540, height: 720 } : { width: 960, height: 720 }) });
  return scene.open({ within: context });
}

/**
 * @param {Scene} scene
 * @param {Set} set
 * @param {string} folder
 */
async function takeSet(scene, { suffix, look, room, phone = false }, folder) {
  /** @param {import('./support/peer.mjs').Peer} peer @param {string} name */
  const take = (peer, name) => peer.page.screenshot({ path: join(folder, `${name}-${suffix}.png`) });
  const mina = await open(scene, MINA, look, phone);
  const junho = await open(scene, JUNHO, look, phone);
  const late = await open(scene, JUNHO, look, phone);
  const refused = await scene.open({ allow: false, context: look });

  await take(mina, 'start');
  await mina.join(room);
  await mina.is('waiting');
  await take(mina, 'waiting');
  await junho.join(room);
  await Promise.all([mina.talks(), junho.talks()]);
  await take(mina, 'call');
  await late.join(room);
  await late.is('full');
  await take(late, 'full');
  await refused.join(room);
  await refused.is('error');
  await take(refused, 'error');
  await refused.join(`${room}/`);
  await refused.page.locator('#room[aria-invalid="true"]').waitFor();
  await take(refused, 'wrong-name');
  await mina.press('#camera');
  await junho.press('#hangup');
  await mina.is('over');
  await take(mina, 'over');
  for (const peer of [mina, junho]) {
    await peer.press('#leave');
    await peer.is('idle');
  }
}

/**
 * Both ends of one call: a desktop window, and a phone in front of it.
 *
 * @param {Scene} scene
 * @param {import('playwright-core').Browser} browser
 * @param {string} file
 */
async function takePicture(scene, browser, file) {
  // Each camera is held so that the picture fits the other end.
  const desktop = await open(scene, MINA, { viewport: { width: 1060, height: 664 } }, true);
  const phone = await open(scene, JUNHO, PHONE, false);
  await desktop.join('lobby');
  await desktop.is('waiting');
  await phone.join('lobby');
  await Promise.all([desktop.talks(), phone.talks()]);
  // Nothing is pressed down and nothing has the focus.
  for (const { page } of [desktop, phone]) {
    await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
  }
  const [wide, tall] = await Promise.all([desktop, phone].map(async ({ page }) => (await page.screenshot()).toString('base64')));
  const page = await browser.newPage(DESKTOP);
  await page.setContent(`<!doctype html><style>
    body { margin: 0; height: 100vh; position: relative; overflow: hidden; background: linear-gradient(150deg, #d9d7f7, #f7dcd7) }
    img { position: absolute; display: block; box-shadow: 0 2px 6px #1c1b2622, 0 24px 60px #1c1b2638 }
    .wide { right: 56px; top: 56px; width: 1060px; border-radius: 18px }
    .tall { left: 56px; bottom: 44px; width: 272px; border-radius: 34px; border: 8px solid #1c1b26 }
    </style><img class="wide" src="data:image/png;base64,${wide}"><img class="tall" src="data:image/png;base64,${tall}">`);
  await mkdir(dirname(file), { recursive: true });
  await page.screenshot({ path: file });
  await page.close();
  return (await readFile(file)).length;
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { picture: { type: 'string' } } });
const [folder] = positionals;
if (folder === undefined) {
  console.error('usage: npm run screenshots -- FOLDER [--picture FILE]');
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const browser = await launch();
const scene = new Scene(browser, await Broker.start());
try {
  for (const set of SETS) await takeSet(scene, set, folder);
  if (values.picture !== undefined) {
    console.log(`${values.picture}: ${Math.round((await takePicture(scene, browser, values.picture)) / 1024)} KiB`);
  }
} finally {
  await scene.end();
  await browser.close();
}
