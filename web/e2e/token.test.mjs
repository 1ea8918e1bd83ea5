// A link with a token: it leaves the address bar at once, is never sent in an address, and when the broker refuses it a
// person is told in words.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { talking } from './support/peer.mjs';
import { Scene, launch } from './support/scene.mjs';
import { signed } from './support/token.mjs';

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

const SECRET = 'a secret of tests, which is long enough';

test('those with a token for a room call each other there, and nobody else comes in', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'duet-token-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'secret'), SECRET);
  const scene = await Scene.begin(t, browser, { flags: ['--jwt-secret', join(folder, 'secret')] });
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((name) => scene.open({ name, path: `/#token=${signed(name, '현관', SECRET)}` })),
  );
  assert.ok(alice && bob);
  await alice.press('#join');
  await alice.is('waiting');
  await bob.press('#join');
  await talking(alice, bob);

  // Her token is for another room, and so is what she is told.
  const carol = await scene.open({ name: 'carol', path: `/#token=${signed('carol', 'hall', SECRET)}` });
  await carol.join('현관');
  await carol.is('error');
  assert.match(await carol.text('#status'), /not allowed|may not|hall/i);
  const dave = await scene.open({ name: 'dave' });
  await dave.join('현관');
  await dave.is('error');
  await talking(alice, bob);
});
