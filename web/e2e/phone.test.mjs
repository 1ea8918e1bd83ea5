// The page on a phone: nothing sticks out, and every control can be touched.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const UPRIGHT = { width: 390, height: 844 };
const SMALL = { width: 320, height: 568 };
const ON_ITS_SIDE = { width: 844, height: 390 };
const PHONE = { viewport: UPRIGHT, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
/** The least height and width of what a finger has to hit, in CSS pixels (WCAG 2.2, 2.5.8 asks for 24). */
const FINGER = 24;

/**
 * What is wrong with how the page fits its window.
 *
 * @param {import('./support/peer.mjs').Peer} peer
 * @param {string} when
 */
async function fits(peer, when) {
  const wrong = await peer.page.evaluate((finger) => {
    const found = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`scrolls sideways: ${scrollWidth} in ${clientWidth}`);
    const dialog = document.querySelector('dialog[open]');
    for (const element of (dialog ?? document).querySelectorAll('button, select, input')) {
      if (!element.checkVisibility()) continue;
      // A long page may scroll up and down.
      const touched = element.closest('label.check') ?? element;
      touched.scrollIntoView({ block: 'nearest' });
      const { left, top, right, bottom, width, height } = touched.getBoundingClientRect();
      const what = `#${element.id} at ${[left, top, right, bottom].map(Math.round).join(' ')}`;
      const out = Math.max(-left, -top, right - innerWidth, bottom - innerHeight);
      // Scrolling is by whole pixels.
      if (out >= 1) found.push(`${what} is outside of ${innerWidth} × ${innerHeight}`);
      if (width < finger || height < finger) found.push(`${what} is too small`);
      const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      if (!hit || !(element.contains(hit) || hit.closest('label')?.contains(element))) found.push(`${what} is covered by ${hit?.outerHTML.slice(0, 60)}`);
    }
    return found;
  }, FINGER);
  assert.deepEqual(wrong, [], `${peer.name}, ${when}`);
}

for (const locale of ['en-GB', 'ko-KR']) {
  test(`two phones, ${locale}: nothing sticks out and everything can be touched`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const room = '현'.repeat(42);
    const look = { context: { ...PHONE, locale } };
    const mina = await scene.open({ name: 'mina', ...look });
    const junho = await scene.open({ name: 'junho', ...look });
    const late = await scene.open({ name: 'late', ...look });

    /** @param {import('./support/peer.mjs').Peer} peer @param {string} when */
    const fitsEverywhere = async (peer, when) => {
      for (const size of [SMALL, ON_ITS_SIDE, UPRIGHT]) {
        await peer.page.setViewportSize(size);
        await fits(peer, `${when}, ${size.width} × ${size.height}`);
      }
    };
    await fitsEverywhere(mina, 'start');
    await mina.join('a/b');
    await mina.is('error');
    await fitsEverywhere(mina, 'error');
    await mina.join(room);
    await mina.is('waiting');
    await fitsEverywhere(mina, 'waiting');
    await junho.join(room);
    await talking(mina, junho);
    await fitsEverywhere(mina, 'connected');
    await late.join(room);
    await late.is('full');
    await fitsEverywhere(late, 'full');
    await mina.press('#devices');
    await mina.page.locator('#device-dialog').waitFor();
    await fitsEverywhere(mina, 'devices');
    await mina.press('#device-close');
    await junho.press('#hangup');
    await mina.is('over');
    await fitsEverywhere(mina, 'over');
  });
}
