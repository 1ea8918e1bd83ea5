import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { NameError, peerProblem, roomProblem, sender, topic } from '../src/names.ts';

interface Names {
  good: string[];
  bad: string[];
}

const fixtures = JSON.parse(readFileSync(new URL('../../protocol/fixtures/names.json', import.meta.url), 'utf8')) as {
  rooms: Names;
  peers: Names;
};

describe('the shared fixtures', () => {
  test.each(fixtures.rooms.good)('room %j is fine', (name) => expect(roomProblem(name)).toBeUndefined());
  test.each(fixtures.rooms.bad)('room %j is not', (name) => expect(roomProblem(name)).toBeDefined());
  test.each(fixtures.peers.good)('peer %j is fine', (id) => expect(peerProblem(id)).toBeUndefined());
  test.each(fixtures.peers.bad)('peer %j is not', (id) => expect(peerProblem(id)).toBeDefined());
});

test('a problem names the rule', () => {
  expect(roomProblem('')).toEqual({ code: 'empty' });
  expect(roomProblem('a/b')).toEqual({ code: 'character', character: '/' });
  expect(roomProblem('$SYS')).toEqual({ code: 'dollar' });
  expect(roomProblem('lobby ')).toEqual({ code: 'outer-space' });
  expect(roomProblem('가'.repeat(43))).toEqual({ code: 'too-long', bytes: 129 });
  expect(roomProblem('가'.repeat(42) + 'ab')).toBeUndefined();
  expect(roomProblem('half \ud83d pair')).toEqual({ code: 'character', character: '\ud83d' });
  expect(peerProblem('agent')).toEqual({ code: 'reserved' });
  expect(new NameError('room name', { code: 'character', character: '/' }).message).toBe('a room name must not contain "/"');
});

test('a topic is built and taken apart', () => {
  expect(topic('현관 🚪', 'agent', 'alice')).toBe('rooms/현관 🚪/agent/alice');
  expect(sender('rooms/lobby/bob/alice', 'lobby', 'bob')).toBe('alice');
  for (const other of ['rooms/lobby/bob', 'rooms/lobby/bob/', 'rooms/other/bob/alice', 'rooms/lobby/carol/alice', 'x/lobby/bob/alice', 'rooms/lobby/bob/alice/x']) {
    expect(sender(other, 'lobby', 'bob'), other).toBeUndefined();
  }
});
