// The start page's form: wrong names, the keyboard alone, and a policy that lets nothing foreign in.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Scene, launch } from './support/scene.mjs';
import { SOON, within } from './support/wait.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** @type {[string, RegExp][]} */
const WRONG = [
  ['', /needs a name/],
  ['   ', /needs a name/],
  ['a/b', /must not contain \//],
  ['one+two', /must not contain \+/],
  ['#1', /must not contain #/],
  ['$SYS', /must not begin with \$/],
  ['bell\u0007', /must not contain U\+0007/],
  ['현'.repeat(43), /129 bytes, and 128 is the most/],
];

test('a wrong room name is told with what would be right, and goes nowhere', async (t) => {
  const scene = await Scene.begin(t, browser);
  const peer = await scene.open();
  for (const [name, said] of WRONG) {
    await peer.join(name);
    await peer.is('error');
    assert.match(await peer.text('#status'), said, JSON.stringify(name));
    assert.equal(await peer.page.locator('#room').getAttribute('aria-invalid'), 'true');
    assert.equal(await focused(peer), 'room');
    // The next letter clears what was said about the last name.
    await peer.page.locator('#room').fill('x');
    await peer.is('idle');
  }
  await peer.goto('/?room=a%2Fb');
  await peer.press('#join');
  await peer.is('error');
  assert.equal(peer.received, '', 'nothing was asked of the broker');
  assert.deepEqual((await peer.record()).asked, [], 'no camera was asked for');

  await peer.join('현'.repeat(42));
  await peer.is('waiting');
});

/** @param {import('./support/peer.mjs').Peer} peer */
function focused(peer) {
  return peer.page.evaluate(() => document.activeElement?.id);
}

/**
 * Whether the focus can be seen: an outline on what has it, or on the picture in it.
 *
 * @param {import('./support/peer.mjs').Peer} peer
 */
function outlined(peer) {
  return peer.page.evaluate(() => {
    const element = document.activeElement;
    const places = element ? [element, ...element.querySelectorAll('svg')] : [];
    return places.some((place) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(place);
      return outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2;
    });
  });
}

test('everything goes by keyboard, and the focus can be seen', async (t) => {
  const scene = await Scene.begin(t, browser);
  const peer = await scene.open();
  const { keyboard } = peer.page;
  assert.equal(await focused(peer), 'room', 'the field has the focus at once');

  await keyboard.press('Shift+Tab');
  const found = [];
  for (const expected of ['language', 'room', 'watch-only', 'join']) {
    found.push(await focused(peer));
    assert.ok(await outlined(peer), `the focus on #${expected} can be seen`);
    await keyboard.press('Tab');
  }
  assert.deepEqual(found, ['language', 'room', 'watch-only', 'join']);

  await peer.page.locator('#room').focus();
  await keyboard.type('lobby');
  await keyboard.press('Enter');
  await peer.is('waiting');

  const controls = [];
  for (let step = 0; step < 5; step += 1) {
    controls.push(await focused(peer));
    assert.ok(await outlined(peer), `the focus on #${controls.at(-1)} can be seen`);
    await keyboard.press('Tab');
  }
  assert.deepEqual(controls, ['mute', 'camera', 'devices', 'copy-link', 'leave'], 'hang up is off while nobody is there');

  await peer.page.locator('#devices').focus();
  await keyboard.press('Enter');
  await peer.page.locator('#device-dialog').waitFor();
  assert.equal(await focused(peer), 'camera-device');
  await keyboard.press('Escape');
  assert.equal(await focused(peer), 'devices', 'the focus comes back');

  await peer.page.locator('#leave').focus();
  await keyboard.press('Enter');
  await peer.is('idle');
  assert.equal(await focused(peer), 'room');
});

test('a script or a picture that gets into the page is not run and not fetched', async (t) => {
  const scene = await Scene.begin(t, browser);
  const peer = await scene.open();
  for (const pattern of [/Content Security Policy/, /^policy: (script-src|img-src)/, /asked another origin/]) peer.expect(pattern);
  const tried = peer.page.evaluate(async () => {
    const violated = new Promise((resolve) => document.addEventListener('securitypolicyviolation', resolve, { once: true }));
    const script = document.createElement('script');
    script.textContent = 'window.intruder = true';
    document.body.append(script);
    await violated;
    const picture = new Image();
    await new Promise((resolve) => {
      picture.onload = picture.onerror = resolve;
      picture.src = 'http://127.0.0.1:9/picture.png';
    });
  });
  await within(SOON, tried, () => 'the policy has forbidden both');
  assert.equal(await peer.page.evaluate(() => 'intruder' in window), false);
  assert.deepEqual((await peer.record()).violations.map((text) => text.split(' ')[0]), ['script-src-elem', 'img-src']);
});
