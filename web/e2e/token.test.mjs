// A link with a token: it leaves the address bar at once, is never sent in an address, and when the broker refuses it a
// person is told in words.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Scene, launch } from './support/scene.mjs';

/** @type {import('playwright-core').Browser} */
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const CLAIMS = Buffer.from(JSON.stringify({ sub: 'cam-42', rooms: ['현관'] })).toString('base64url');
const TOKEN = `e30.${CLAIMS}.c2lnbmF0dXJl`;

for (const [locale, said] of Object.entries({ 'en-GB': 'This link does not let you in', 'ko-KR': '이 링크로는 들어갈 수 없습니다' })) {
  test(`a refused token is said in ${locale}`, async (t) => {
    const scene = await Scene.begin(t, browser);
    const context = await scene.context({ options: { locale } });
    const asked = /** @type {string[]} */ ([]);
    context.on('request', (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`));
    const peer = await scene.open({ path: `/#token=${TOKEN}`, within: context });
    assert.equal(await peer.page.evaluate(() => location.href), `${scene.broker.origin}/`);
    assert.equal(await peer.page.locator('#room').inputValue(), '현관', 'the room that the token is for');
    await peer.press('#join');
    await peer.is('error');
    assert.ok((await peer.text('#status')).includes(said), await peer.text('#status'));
    assert.equal(asked.filter((request) => request.includes('c2lnbmF0dXJl')).length, 0, 'it is in no request');

    // A token that was refused is of no use to a reload.
    await peer.page.reload();
    await peer.join('현관');
    await peer.is('waiting');
  });
}
