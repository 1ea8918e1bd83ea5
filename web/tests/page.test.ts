import { describe, expect, test } from 'vitest';
import { ROOMS_MOST, cameraRoom, cameraRoomNumber, choosePlace } from '../src/page/camera-rooms.ts';
import { choose, languages } from '../src/page/language.ts';
import { mediaProblem } from '../src/page/media.ts';
import { snapshotName } from '../src/page/snapshot.ts';
import { type Situation, kind as kindOf, name, nobody, status } from '../src/page/status.ts';
import { address, note, parseAddress, readable, recall } from '../src/page/visit.ts';

const { en, ko } = languages;
const inside: Situation = { ...nobody, room: 'lobby', roomStatus: 'inside', beenInside: true };

describe('the status line', () => {
  const cases: [Partial<Situation>, string, string[]][] = [
    [{ roomStatus: undefined }, 'idle', []],
    [{ roomStatus: undefined, asking: true }, 'asking', []],
    [{ roomStatus: undefined, nameProblem: { code: 'empty' } }, 'error', []],
    [{ roomStatus: undefined, mediaProblem: { code: 'denied', message: '' } }, 'error', ['try-again', 'audio-only', 'watch-only']],
    [{ roomStatus: undefined, mediaProblem: { code: 'not-found', message: '' } }, 'error', ['try-again', 'watch-only']],
    [{ roomStatus: undefined, mediaProblem: { code: 'insecure', message: '' } }, 'error', ['watch-only']],
    [{ roomStatus: 'connecting' }, 'connecting', []],
    [{ roomStatus: 'joining' }, 'connecting', []],
    [{ roomStatus: 'reconnecting' }, 'reconnecting', []],
    [{ call: 'waiting' }, 'waiting', []],
    [{ call: 'waiting', left: 'left' }, 'left', []],
    [{ call: 'negotiating' }, 'negotiating', []],
    [{ call: 'connected' }, 'connected', []],
    [{ call: 'interrupted' }, 'interrupted', []],
    [{ call: 'over' }, 'over', ['call-again']],
    [{ call: 'ringing' }, 'ringing', ['answer']],
    [{ end: { why: 'full' } }, 'full', ['try-again']],
    [{ end: { why: 'full' }, camera: 'door' }, 'full', ['try-again']],
    [{ end: { why: 'taken-over' } }, 'taken-over', ['try-again']],
    [{ end: { why: 'closed', reason: 'room-closed' } }, 'closed', ['try-again']],
    [{ end: { why: 'refused', refused: 'subscription', message: 'x' } }, 'error', ['try-again']],
    [{ end: { why: 'refused', refused: 'room', message: 'x' } }, 'error', ['try-again']],
    [{ end: { why: 'refused', refused: 'login', message: 'x' } }, 'error', ['try-again']],
    [{ end: { why: 'refused', refused: 'login', message: 'x' }, byLink: true }, 'error', ['try-again']],
    [{ end: { why: 'left' } }, 'idle', []],
  ];

  test.each(cases)('%j', (change, state, actions) => {
    const now = status({ ...inside, ...change }, en);
    expect(now).toMatchObject({ state, actions });
    expect(now.text).not.toBe('');
  });

  test('every state is said differently, in each language', () => {
    for (const strings of [en, ko]) {
      const texts = cases.map(([change]) => status({ ...inside, ...change }, strings).text);
      expect(new Set(texts).size).toBe(texts.length);
    }
  });

  test('a lost broker is told apart from one that was never there, and from a call that goes on', () => {
    const text = (change: Partial<Situation>) => status({ ...inside, roomStatus: 'reconnecting', ...change }, en).text;
    expect(text({ beenInside: false })).toContain('cannot be reached');
    expect(text({})).toContain('The broker is lost');
    expect(text({ call: 'connected' })).toContain('The call goes on');
  });

  test('a wrong name is told with what would be right', () => {
    const text = (nameProblem: Situation['nameProblem']) => status({ ...nobody, nameProblem }, en).text;
    expect(text({ code: 'character', character: '/' })).toContain('must not contain /');
    expect(text({ code: 'character', character: '\n' })).toContain('U+000A');
    expect(text({ code: 'too-long', bytes: 130 })).toContain('130 bytes, and 128 is the most');
  });

  test('the other one is called by its name, if it has one', () => {
    expect(name({ id: 'x', info: { name: ' Mina ', kind: 'browser' } }, en)).toBe('Mina');
    expect(name({ id: 'x', info: { kind: 'camera' } }, en)).toBe('the camera');
    expect(name({ id: 'x', info: { name: 7 } }, en)).toBe('the other one');
    expect(status({ ...inside, call: 'negotiating' }, en).text).toMatch(/^The other one is here/);
  });

  test('Korean particles fit the word before them', () => {
    const text = (given: string) => status({ ...inside, call: 'connected', fellow: { id: 'x', info: { name: given } } }, ko).text;
    expect(text('미나')).toContain('미나와 ');
    expect(text('민준')).toContain('민준과 ');
    expect(text('Bob')).toContain('Bob과(와) ');
  });
});

test('a refused camera is told by its reason', () => {
  const code = (errorName: string) => mediaProblem(new DOMException('x', errorName)).code;
  expect(['NotAllowedError', 'NotFoundError', 'NotReadableError', 'TypeError'].map(code)).toEqual(['denied', 'not-found', 'in-use', 'failed']);
  expect(mediaProblem('odd')).toEqual({ code: 'failed', message: 'odd' });
});

test('the language is the one chosen before, else the browser\'s, else English', () => {
  expect(choose(null, ['ko-KR', 'en'])).toBe('ko');
  expect(choose(null, ['fr', 'en-GB', 'ko'])).toBe('en');
  expect(choose('ko', ['en'])).toBe('ko');
  expect(choose('xx', ['de'])).toBe('en');
  expect(choose(null, [])).toBe('en');
});

describe('addresses', () => {
  test.each(['lobby', '현관 🚪', 'a b', '100%', 'a&b=c?', '%25'])('%s comes back out of its link', (room) => {
    for (const [view, relay] of [[true, false], [false, true], [true, true], [false, false]] as const) {
      for (const asked of [{ room, camera: undefined, view, relay }, { room: undefined, camera: room, view: true, relay }]) {
        const link = address('https://example.org', asked);
        expect(parseAddress(new URL(link).search)).toEqual(asked);
        expect(parseAddress(new URL(readable(link)).search)).toEqual(asked);
      }
    }
  });

  const nothing = { room: undefined, camera: undefined, view: false, relay: false };
  test('nothing asked', () => expect(parseAddress('')).toEqual(nothing));
  test('a room goes before a camera', () => expect(parseAddress('?camera=a&room=b')).toEqual({ ...nothing, room: 'b' }));
  test('letters stay letters for people', () => expect(readable(address('', { ...nothing, room: '현관' }))).toBe('/?room=현관'));
});

describe('the rooms of a camera', () => {
  test('are counted from the camera\'s own name on', () => {
    expect([1, 2, 32].map((number) => cameraRoom('front-door', number))).toEqual(['front-door', 'front-door~2', 'front-door~32']);
    for (let number = 1; number <= ROOMS_MOST; number += 1) expect(cameraRoomNumber('front-door', cameraRoom('front-door', number))).toBe(number);
    for (const room of ['porch', 'front-door~', 'front-door~1', 'front-door~02', 'front-door~33', 'front-door~2x', 'front-door2']) {
      expect(cameraRoomNumber('front-door', room), room).toBeUndefined();
    }
  });

  test.each([
    ['stay', 1, undefined],
    ['stay', 1, 'camera'],
    ['stay', 3, 'camera'],
    ['next', 1, 'viewer'],
    ['next', 2, 'viewer'],
    ['give-up', 2, undefined],
  ] as const)('one has to %s in room %d with %s in it', (choice, number, kind) => {
    expect(choosePlace(number, kind && { id: 'x', info: { kind } })).toBe(choice);
  });
});

test('a snapshot is named after what is seen, and by when', () => {
  const now = new Date(2026, 0, 2, 3, 4, 5);
  expect(snapshotName('Front door', now)).toBe('Front-door 2026-01-02 03.04.05.png');
  expect(snapshotName('../현관/..', now)).toBe('현관 2026-01-02 03.04.05.png');
  expect(snapshotName('///', now)).toBe('camera 2026-01-02 03.04.05.png');
});

test('a device is called what it is, a browser is not', () => {
  const said = (kind: unknown) => kindOf({ id: 'x', info: { kind } }, en);
  expect([said('camera'), said('doorbell'), said('robot'), said('browser'), said('viewer'), said(7), said('constructor')]).toEqual(['camera', 'doorbell', 'robot', '', '', '', 'constructor']);
});

describe('what a reload comes back to', () => {
  const storage = new Map<string, string>();
  const fake = {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  };

  test('is noted and recalled', () => {
    note({ room: '현관', mode: 'microphone', over: true }, fake);
    expect(recall(fake)).toEqual({ room: '현관', mode: 'microphone', over: true });
    note(undefined, fake);
    expect(recall(fake)).toBeUndefined();
  });

  test.each(['', '{', 'null', '[]', '{"room":1,"mode":"view"}', '{"room":"x","mode":"fly"}'])('%j is nothing', (text) => {
    storage.set('duet.visit', text);
    expect(recall(fake)).toBeUndefined();
  });
});
