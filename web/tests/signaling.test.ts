import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NameError } from '../src/names.ts';
import { type JoinOptions, JoinError, Room, type RoomEvents, join } from '../src/signaling.ts';
import { FakeBroker } from './fakes/mqtt.ts';

const JOIN = 'rooms/lobby/agent/bob {"type":"join","v":1,"info":{"kind":"test"}}';
const FROM_AGENT = 'rooms/lobby/bob/agent';
const joined = { type: 'joined', v: 1, room: 'lobby', you: 'bob', peer: { id: 'alice' }, ice_servers: [{ urls: 'stun:x' }], resumed: false, rev: 100 };
const created = { type: 'created', v: 1, room: 'lobby', you: 'bob', ice_servers: [], resumed: false, rev: 100 };

let broker: FakeBroker;
let events: [string, unknown][];

const names: (keyof RoomEvents)[] = ['status', 'created', 'joined', 'full', 'arrived', 'left', 'closed', 'signal', 'ice-servers', 'error', 'unanswered', 'ended'];
const heard = (name: keyof RoomEvents) => events.filter(([event]) => event === name).map(([, detail]) => detail);

function options(): JoinOptions {
  return { url: 'ws://localhost/mqtt', room: 'lobby', peer: 'bob', info: { kind: 'test' }, connect: broker.connect };
}

function open(): Room {
  const on = Object.fromEntries(names.map((name) => [name, (detail: unknown) => events.push([name, detail])]));
  return new Room({ ...options(), on });
}

function inside(answer: object = joined): Room {
  const room = open();
  broker.client.accept();
  broker.client.deliver(FROM_AGENT, answer);
  broker.sent();
  return room;
}

/** The connection breaks after a while, and the next one is there. */
function comeBack(): void {
  vi.advanceTimersByTime(10_000);
  broker.client.break();
  vi.advanceTimersByTime(5_000);
  broker.client.accept();
}

beforeEach(() => {
  vi.useFakeTimers();
  broker = new FakeBroker();
  events = [];
});
afterEach(() => vi.useRealTimers());

describe('a lease', () => {
  test('is renewed by joining again at a third of it, for as long as the seat lasts', () => {
    inside({ ...joined, lease: 60 });
    vi.advanceTimersByTime(19_999);
    expect(broker.sent()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(broker.sent()).toEqual([JOIN]);
    broker.client.deliver(FROM_AGENT, { ...joined, lease: 60, rev: 101 });
    expect(heard('joined')).toHaveLength(1);
    vi.advanceTimersByTime(20_000);
    expect(broker.sent()).toEqual([JOIN]);
  });

  test('that is not answered is asked for again, and the call hears nothing of it', () => {
    inside({ ...joined, lease: 60 });
    vi.advanceTimersByTime(24_000);
    expect(broker.sent()).toEqual([JOIN, JOIN, JOIN]);
    expect(heard('unanswered')).toEqual([]);
  });

  test('of nothing but whole seconds is none', () => {
    open();
    broker.client.accept();
    broker.client.deliver(FROM_AGENT, { ...joined, lease: 0.5 });
    expect(heard('error')).toEqual([{ code: 'bad-message', message: expect.stringContaining('whole number of seconds') }]);
  });

  test('that nobody gave is not renewed', () => {
    inside();
    vi.advanceTimersByTime(600_000);
    expect(broker.sent()).toEqual([]);
  });
});

describe('several agents', () => {
  test('say a thing twice, and it is heard once', () => {
    inside(created);
    const arrived = { type: 'arrived', peer: { id: 'alice' }, rev: 101 };
    broker.client.deliver(FROM_AGENT, arrived);
    broker.client.deliver(FROM_AGENT, arrived);
    expect(heard('arrived')).toHaveLength(1);
  });

  test('let somebody arrive before it is heard that the one before has left', () => {
    const room = inside();
    broker.client.deliver(FROM_AGENT, { type: 'arrived', peer: { id: 'carol' }, rev: 102 });
    broker.client.deliver(FROM_AGENT, { type: 'left', peer: 'alice', reason: 'lost', rev: 101 });
    expect(room.fellow?.id).toBe('carol');
    expect(heard('left')).toEqual([]);
  });

  test('let an arrival overtake the answer: it is asked for again', () => {
    const room = open();
    broker.client.accept();
    broker.client.deliver(FROM_AGENT, { type: 'arrived', peer: { id: 'carol' }, rev: 102 });
    broker.client.deliver(FROM_AGENT, created);
    broker.sent();
    vi.advanceTimersByTime(2_000);
    expect(broker.sent()).toEqual([JOIN]);
    broker.client.deliver(FROM_AGENT, { ...created, peer: { id: 'carol' }, rev: 103 });
    expect([room.status, room.fellow?.id]).toEqual(['inside', 'carol']);
  });
});

describe('joining', () => {
  test('nothing is published before the inbox is granted', () => {
    broker.grants = false;
    open();
    broker.client.accept();
    vi.advanceTimersByTime(60_000);
    expect(broker.sent()).toEqual(['subscribe rooms/lobby/bob/+']);
    broker.grant();
    expect(broker.sent()).toEqual([JOIN]);
  });

  test('the connection is clean, MQTT 5, under the peer id, and nothing of mqtt.js comes back by itself', () => {
    open();
    expect(broker.client.options).toMatchObject({ clientId: 'bob', clean: true, protocolVersion: 5, reconnectPeriod: 0, resubscribe: false, queueQoSZero: false });
  });

  test('a join that is not answered is said again after 2 s', () => {
    open();
    broker.client.accept();
    broker.sent();
    vi.advanceTimersByTime(1_999);
    expect(broker.sent()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(broker.sent()).toEqual([JOIN]);
    vi.advanceTimersByTime(2_000);
    expect(heard('unanswered')).toEqual([1, 2]);
    broker.client.deliver(FROM_AGENT, created);
    broker.sent();
    vi.advanceTimersByTime(60_000);
    expect(broker.sent()).toEqual([]);
  });

  test('`join` gives the room, with what the agent said', async () => {
    const promise = join(options());
    broker.client.accept();
    broker.client.deliver(FROM_AGENT, joined);
    const room = await promise;
    expect(room).toMatchObject({ name: 'lobby', me: 'bob', role: 'joined', fellow: { id: 'alice' }, status: 'inside', iceServers: [{ urls: 'stun:x' }] });
  });

  test('signals that nobody listens to yet are not lost', async () => {
    const room = await (async () => {
      const promise = join(options());
      broker.client.accept();
      broker.client.deliver(FROM_AGENT, joined);
      broker.client.deliver('rooms/lobby/bob/alice', { type: 'ready' });
      return promise;
    })();
    const signals: unknown[] = [];
    room.on('signal', (signal) => signals.push(signal));
    await Promise.resolve();
    expect(signals).toEqual([{ type: 'ready' }]);
  });

  test('a full room is said and left alone', async () => {
    const promise = join(options());
    broker.client.accept();
    broker.client.deliver(FROM_AGENT, { type: 'full', room: 'lobby', rev: 1 });
    await expect(promise).rejects.toThrow(JoinError);
    await expect(promise).rejects.toMatchObject({ end: { why: 'full' } });
    expect(broker.sent().at(-1)).toBe('disconnect');
    vi.advanceTimersByTime(60_000);
    expect(broker.clients.length).toBe(1);
  });

  test('a room that the rights do not open is left alone', () => {
    const forbidden = { type: 'error', code: 'forbidden', message: 'your token opens hall', rev: 1 };
    open();
    broker.client.accept();
    broker.client.deliver(FROM_AGENT, forbidden);
    expect(heard('ended')).toEqual([{ why: 'refused', refused: 'room', message: 'your token opens hall' }]);
    expect(broker.sent().at(-1)).toBe('disconnect');
    vi.advanceTimersByTime(60_000);
    expect(broker.sent()).toEqual([]);

    const room = inside({ ...joined, rev: 2 });
    broker.client.deliver(FROM_AGENT, { ...forbidden, rev: 3 });
    expect(room.status).toBe('inside');
  });

  test('names that break the rules are refused before anything is sent', async () => {
    await expect(join({ ...options(), room: 'a/b' })).rejects.toThrow(NameError);
    await expect(join({ ...options(), peer: 'agent' })).rejects.toThrow(NameError);
    expect(broker.clients.length).toBe(0);
  });

  test('a token names the peer and goes as password', () => {
    const { peer: _, ...rest } = options();
    const claims = Buffer.from('{"sub":"cam-42","rooms":["lobby"]}').toString('base64url');
    const token = `e30.${claims}.c2ln`;
    expect(new Room({ ...rest, token, username: 'x', password: 'y' }).me).toBe('cam-42');
    expect(broker.client.options).toMatchObject({ clientId: 'cam-42', username: 'cam-42', password: token });
    expect(new Room({ ...rest, token, peer: 'other' }).me, 'the broker will say what it thinks of this').toBe('other');
    expect(new Room({ ...rest, token: 'no token' }).me).toMatch(/^web-/);
    new Room({ ...rest, username: 'alice', password: 's3cret' });
    expect(broker.client.options).toMatchObject({ username: 'alice', password: 's3cret' });
  });

  test.each([0x86, 0x87, 0x8a, 4, 5])('a login refused with %i is not tried again', (code) => {
    open();
    broker.client.emit('error', Object.assign(new Error('Connection refused'), { code }));
    broker.client.break();
    vi.advanceTimersByTime(60_000);
    expect(heard('ended')).toMatchObject([{ why: 'refused', refused: 'login' }]);
    expect(broker.clients.length).toBe(1);
  });

  test.each([0x87, 0xa0])('a login that has expired (%i) ends it', (code) => {
    inside();
    broker.client.break(code);
    vi.advanceTimersByTime(60_000);
    expect(heard('ended')).toEqual([{ why: 'refused', refused: 'login', message: 'the login has expired' }]);
    expect(broker.clients.length).toBe(1);
  });

  test('a refused login and a refused subscription end it', () => {
    open();
    broker.client.emit('error', Object.assign(new Error('Connection refused: Not authorized'), { code: 0x87 }));
    expect(heard('ended')).toEqual([{ why: 'refused', refused: 'login', message: 'Connection refused: Not authorized' }]);

    broker.grants = false;
    open();
    broker.client.accept();
    broker.refuse();
    expect(heard('ended').at(-1)).toEqual({ why: 'refused', refused: 'subscription', message: 'Subscribe error: Not authorized' });
    expect(broker.log.filter((line) => line.includes('join'))).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(broker.clients.length).toBe(2);
  });
});

describe('messages', () => {
  test('what the agent says becomes events', () => {
    const room = inside(created);
    broker.client.deliver(FROM_AGENT, { type: 'arrived', peer: { id: 'carol', info: { kind: 'camera' } }, rev: 101 });
    expect(heard('arrived')).toEqual([{ peer: { id: 'carol', info: { kind: 'camera' } } }]);
    expect(room.fellow?.id).toBe('carol');
    broker.client.deliver(FROM_AGENT, { type: 'ice-servers', ice_servers: [{ urls: 'turn:x' }], rev: 102 });
    expect(heard('ice-servers')).toEqual([[{ urls: 'turn:x' }]]);
    broker.client.deliver(FROM_AGENT, { type: 'left', peer: 'carol', reason: 'lost', rev: 103 });
    expect(heard('left')).toEqual([{ peer: 'carol', reason: 'lost' }]);
    expect(room.fellow).toBeUndefined();
    broker.client.deliver(FROM_AGENT, { type: 'error', code: 'forbidden', message: 'no', rev: 104 });
    expect(heard('error')).toEqual([{ code: 'forbidden', message: 'no' }]);
    broker.client.deliver(FROM_AGENT, { type: 'closed', reason: 'room-closed', rev: 105 });
    expect(heard('ended')).toEqual([{ why: 'closed', reason: 'room-closed' }]);
  });

  test('an older message of the agent is ignored', () => {
    const room = inside(joined);
    broker.client.deliver(FROM_AGENT, { type: 'left', peer: 'alice', reason: 'left', rev: 99 });
    expect(heard('left')).toEqual([]);
    expect(room.fellow?.id).toBe('alice');
    broker.client.deliver(FROM_AGENT, { type: 'left', peer: 'alice', reason: 'left', rev: 101 });
    expect(heard('left').length).toBe(1);
  });

  test('a repeated answer changes nothing but brings fresh credentials', () => {
    const room = inside(joined);
    broker.client.deliver(FROM_AGENT, { ...joined, rev: 101, resumed: true, ice_servers: [{ urls: 'turn:new' }] });
    expect(heard('joined').length).toBe(1);
    expect(heard('ice-servers')).toEqual([[{ urls: 'turn:new' }]]);
    expect(room.iceServers).toEqual([{ urls: 'turn:new' }]);
  });

  test('only the one that the agent named is heard', () => {
    inside(joined);
    broker.client.deliver('rooms/lobby/bob/mallory', { type: 'ready' });
    broker.client.deliver('rooms/lobby/bob/alice', { type: 'bye' });
    broker.client.deliver('rooms/other/bob/alice', { type: 'ready' });
    expect(heard('signal')).toEqual([{ type: 'bye' }]);
  });

  test('a signal that overtakes `arrived` is heard after it, a stranger is not', () => {
    inside(created);
    broker.client.deliver('rooms/lobby/bob/alice', { type: 'ready' });
    broker.client.deliver('rooms/lobby/bob/mallory', { type: 'bye' });
    expect(heard('signal')).toEqual([]);
    broker.client.deliver(FROM_AGENT, { type: 'arrived', peer: { id: 'alice' }, rev: 101 });
    expect(heard('signal')).toEqual([{ type: 'ready' }]);
  });

  test('bad messages are errors and nothing else', () => {
    const room = inside(joined);
    broker.client.deliver(FROM_AGENT, '{"type":');
    broker.client.deliver('rooms/lobby/bob/alice', '[]');
    expect(heard('error')).toEqual([
      expect.objectContaining({ code: 'bad-message' }),
      { code: 'bad-message', message: 'from alice: a message must be a JSON object' },
    ]);
    expect(room.status).toBe('inside');
  });

  test('what is sent goes to the other one at QoS 1', async () => {
    const room = inside(joined);
    await room.send({ type: 'ready' });
    room.report('connected');
    expect(broker.sent()).toEqual(['rooms/lobby/alice/bob {"type":"ready"}', 'rooms/lobby/agent/bob {"type":"state","connection":"connected"}']);
  });

  test('alone, nothing can be sent', async () => {
    await expect(inside(created).send({ type: 'ready' })).rejects.toThrow('nobody else is in the room');
  });

  test('leaving says so and disconnects', () => {
    inside(joined).leave();
    expect(broker.sent()).toEqual(['rooms/lobby/agent/bob {"type":"leave"}', 'disconnect']);
    expect(heard('ended')).toEqual([{ why: 'left' }]);
    vi.advanceTimersByTime(60_000);
    expect(broker.clients.length).toBe(1);
  });
});

describe('when the broker is lost', () => {
  test('it subscribes first and joins again', () => {
    const room = inside(joined);
    comeBack();
    expect(room.status).toBe('reconnecting');
    expect(broker.sent()).toEqual(['subscribe rooms/lobby/bob/+', JOIN]);
    broker.client.deliver(FROM_AGENT, { ...joined, resumed: true, rev: 101 });
    expect(room.status).toBe('inside');
    expect(heard('joined').at(-1)).toMatchObject({ resumed: true });
  });

  test('what was said meanwhile, and what was not acknowledged, goes out in its order after the resume', async () => {
    const room = inside(joined);
    broker.acknowledges = false;
    const first = room.send({ type: 'one' });
    broker.acknowledges = true;
    broker.sent();
    vi.advanceTimersByTime(10_000);
    broker.client.break();
    const second = room.send({ type: 'two' });
    vi.advanceTimersByTime(5_000);
    broker.client.accept();
    expect(broker.sent()).toEqual(['subscribe rooms/lobby/bob/+', JOIN]);
    broker.client.deliver(FROM_AGENT, { ...joined, resumed: true, rev: 101 });
    expect(broker.sent()).toEqual(['rooms/lobby/alice/bob {"type":"one"}', 'rooms/lobby/alice/bob {"type":"two"}']);
    await Promise.all([first, second]);
  });

  test('what was meant for one seat is not said from another', async () => {
    const room = inside(joined);
    vi.advanceTimersByTime(10_000);
    broker.client.break();
    const message = room.send({ type: 'one' });
    vi.advanceTimersByTime(5_000);
    broker.client.accept();
    broker.sent();
    broker.client.deliver(FROM_AGENT, { ...joined, resumed: false, rev: 101 });
    await expect(message).rejects.toThrow('gone');
    expect(broker.sent()).toEqual([]);
  });

  test('it tries for ever, within the grace time at first, and less and less often', () => {
    open();
    const at = [];
    for (let tries = 0; tries < 12; tries += 1) {
      broker.client.break();
      const before = Date.now();
      while (broker.clients.length === tries + 1) vi.advanceTimersByTime(10);
      at.push(Date.now() - before);
    }
    expect(at.slice(0, 4).reduce((sum, wait) => sum + wait)).toBeLessThan(10_000);
    expect(Math.max(...at)).toBeLessThanOrEqual(5_010);
    expect(at.at(-1)).toBeGreaterThan(2_000);
  });

  test('a seat that was lost meanwhile is said', () => {
    inside(joined);
    comeBack();
    broker.client.deliver(FROM_AGENT, { type: 'full', room: 'lobby', rev: 120 });
    expect(heard('ended')).toEqual([{ why: 'full' }]);
  });
});

describe('taken over by another with the same name', () => {
  test('the broker says so: it stops at once', () => {
    inside(joined);
    broker.client.break(0x8e);
    expect(heard('ended')).toEqual([{ why: 'taken-over' }]);
    vi.advanceTimersByTime(60_000);
    expect(broker.clients.length).toBe(1);
  });

  test('the broker says nothing: it stops after being cut short again and again', () => {
    inside(joined);
    for (let cuts = 0; cuts < 10 && heard('ended').length === 0; cuts += 1) {
      broker.client.break();
      vi.advanceTimersByTime(5_000);
      if (heard('ended').length === 0) broker.client.accept();
    }
    expect(heard('ended')).toEqual([{ why: 'taken-over' }]);
    expect(broker.clients.length).toBe(4);
  });

  test('a broker that says that it stops is no rival', () => {
    inside(joined);
    for (let restarts = 0; restarts < 10; restarts += 1) {
      broker.client.break(0x8b);
      vi.advanceTimersByTime(5_000);
      broker.client.accept();
    }
    expect(heard('ended')).toEqual([]);
  });
});
