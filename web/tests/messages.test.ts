import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MessageError, isSignal, parseFromAgent, parseFromPeer } from '../src/messages.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('the shared fixtures', () => {
  const messages = JSON.parse(readFileSync(new URL('../../protocol/fixtures/from-agent.json', import.meta.url), 'utf8')) as { type: string }[];
  test.each(messages.map((message) => JSON.stringify(message)))('%s', (text) => {
    expect(parseFromAgent(bytes(text))).toEqual(JSON.parse(text));
  });

  test('cover every message of the agent', () => {
    const types = ['created', 'joined', 'full', 'arrived', 'left', 'closed', 'ice-servers', 'error'];
    expect([...new Set(messages.map(({ type }) => type))].sort()).toEqual(types.sort());
  });
});

describe('from the agent, bad', () => {
  test.each([
    ['', 'must be JSON'],
    ['{', 'must be JSON'],
    ['[]', 'must be a JSON object'],
    ['null', 'must be a JSON object'],
    ['{}', 'must have a `type`'],
    ['{"type":1}', 'must have a `type`'],
    ['{"type":"created","room":"r","you":"a","ice_servers":[]}', '`resumed` must be true or false'],
    ['{"type":"created","room":"r","you":"a","ice_servers":[{}],"resumed":false}', '`ice_servers` must be a list of RTCIceServer'],
    ['{"type":"joined","room":"r","you":"a","ice_servers":[],"resumed":false}', '`peer` must be an object with an `id`'],
    ['{"type":"arrived","peer":"bob"}', '`peer` must be an object with an `id`'],
    ['{"type":"arrived","peer":{"id":"bob","info":[]}}', '`peer.info` must be an object'],
    ['{"type":"left","peer":"bob","reason":"bored"}', '`reason` must be one of left, lost, removed'],
    ['{"type":"closed"}', '`reason` must be one of'],
    ['{"type":"full","room":"r","rev":"1"}', '`rev` must be a whole number'],
    ['{"type":"error","code":1,"message":""}', '`code` must be a string'],
  ])('%s', (text, message) => {
    expect(() => parseFromAgent(bytes(text))).toThrow(MessageError);
    expect(() => parseFromAgent(bytes(text))).toThrow(message);
  });

  test('bytes that are not UTF-8', () => {
    const payload = bytes('{"type":"full","room":"?"}');
    payload[payload.indexOf(0x3f)] = 0xff;
    expect(() => parseFromAgent(payload)).toThrow(MessageError);
  });
});

test('an unknown type of the agent is of a later version', () => {
  expect(parseFromAgent(bytes('{"type":"weather"}'))).toBeUndefined();
});

describe('from the other one', () => {
  test.each([
    '{"type":"ready"}',
    '{"type":"bye"}',
    '{"type":"offer","sdp":"v=0"}',
    '{"type":"answer","sdp":"v=0","unknown":1}',
    '{"type":"candidate","candidate":null}',
    '{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"}}',
  ])('%s', (text) => {
    const message = parseFromPeer(bytes(text));
    expect(message).toEqual(JSON.parse(text));
    expect(isSignal(message)).toBe(true);
  });

  test('a type of its own comes through', () => {
    const message = parseFromPeer(bytes('{"type":"ring","times":3}'));
    expect(message).toEqual({ type: 'ring', times: 3 });
    expect(isSignal(message)).toBe(false);
  });

  test.each([
    '{"type":"offer"}',
    '{"type":"answer","sdp":1}',
    '{"type":"candidate"}',
    '{"type":"candidate","candidate":"x"}',
    '{"type":"candidate","candidate":{"candidate":1}}',
    '{"type":"candidate","candidate":{"candidate":"","sdpMLineIndex":"0"}}',
    '"ready"',
  ])('bad: %s', (text) => expect(() => parseFromPeer(bytes(text))).toThrow(MessageError));
});
