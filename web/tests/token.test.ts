import { describe, expect, test } from 'vitest';
import { bringsToken, forgetToken, takeToken } from '../src/page/token.ts';
import { tokenClaims } from '../src/token.ts';

/** A token with these claims, as its signature does not matter here. */
export function token(claims: unknown): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claims)}.c2lnbmF0dXJl`;
}

describe('claims', () => {
  test.each([
    [{ sub: 'cam-42', rooms: ['front-door'] }, 'cam-42', 'front-door'],
    [{ sub: 'cam-42', rooms: ['현관 카메라 👀ÿ'] }, 'cam-42', '현관 카메라 👀ÿ'],
    [{ sub: 'cam-42' }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: [] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: ['a', 'b'] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: ['cam-*'] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: ['cam-?'] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: ['cam-\\*'] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: ['a/b'] }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: 'lobby' }, 'cam-42', undefined],
    [{ sub: 'cam-42', rooms: [7] }, 'cam-42', undefined],
    [{ sub: 'a b', rooms: ['lobby'] }, undefined, 'lobby'],
    [{ sub: 'agent' }, undefined, undefined],
    [{ sub: 7 }, undefined, undefined],
    [{}, undefined, undefined],
    [null, undefined, undefined],
    ['text', undefined, undefined],
  ])('%j', (claims, peer, room) => expect(tokenClaims(token(claims))).toEqual({ peer, room }));

  test.each(['', 'a', 'a.b', 'a.!!!.c', 'a.bm8ganNvbg.c', '...'])('what is no token claims nothing: %j', (text) => {
    expect(tokenClaims(text)).toEqual({ peer: undefined, room: undefined });
  });
});

describe('the token in the address', () => {
  const tab = (stored?: string) => {
    const values = new Map<string, string>(stored === undefined ? [] : [['duet.token', stored]]);
    const shown: string[] = [];
    const open = (address: string) => {
      const { hash, pathname, search } = new URL(address, 'https://example.org');
      return takeToken({
        location: { hash, pathname, search },
        history: { state: null, replaceState: (_state, _title, url) => void shown.push(String(url)) },
        storage: {
          getItem: (key) => values.get(key) ?? null,
          setItem: (key, value) => void values.set(key, value),
          removeItem: (key) => void values.delete(key),
        },
      });
    };
    return { open, shown, values };
  };

  test('is taken out of it and kept for a reload', () => {
    const { open, shown } = tab();
    expect(open('/?room=lobby&view#token=a.b-_.c')).toEqual({ token: 'a.b-_.c', kept: false });
    expect(shown).toEqual(['/?room=lobby&view']);
    expect(open('/?room=lobby&view')).toEqual({ token: 'a.b-_.c', kept: true });
    expect(shown.length).toBe(1);
  });

  test('leaves the rest of the fragment there', () => {
    const { open, shown } = tab();
    expect(open('/#a=1&token=t&b=2')?.token).toBe('t');
    expect(shown).toEqual(['/#a=1&b=2']);
  });

  test('wins over the one before; an empty one forgets it', () => {
    const { open, shown, values } = tab('old');
    expect(open('/#token=new')).toEqual({ token: 'new', kept: false });
    expect(values.get('duet.token')).toBe('new');
    expect(open('/#token=')).toBeUndefined();
    expect(values.size).toBe(0);
    expect(shown).toEqual(['/', '/']);
  });

  test('is never read from the query', () => {
    const { open, shown } = tab();
    expect(open('/?token=t&room=lobby')).toBeUndefined();
    expect(open('/?token=t#room=lobby')).toBeUndefined();
    expect(shown).toEqual([]);
    expect([bringsToken('#token=t'), bringsToken('#tokens=t'), bringsToken('')]).toEqual([true, false, false]);
  });

  test('is forgotten when it is of no use any more', () => {
    const { open, values } = tab('old');
    forgetToken({ removeItem: (key) => void values.delete(key) });
    expect(open('/')).toBeUndefined();
  });
});
