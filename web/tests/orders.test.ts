// Whatever the order of reloads, lost brokers, lost paths, hang-ups and comings and goings: when it is quiet
// again, the two are in a call with each other.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Call } from '../src/call.ts';
import type { PeerMessage } from '../src/messages.ts';
import { FakeMediaStream, FakePeerConnection, media } from './fakes/peer-connection.ts';
import { FakeRoom } from './fakes/room.ts';

type Id = 'alice' | 'bob';
type Delivery = (room: FakeRoom) => void;

/** The broker and the agent: seats, and what is on its way to each, in its order. */
class World {
  readonly seats: { id: Id; role: 'created' | 'joined' }[] = [];
  readonly inbox: Record<Id, { agent: boolean; deliver: Delivery }[]> = { alice: [], bob: [] };
  readonly sides: Partial<Record<Id, Side>> = {};

  other(id: Id): Id | undefined {
    return this.seats.find((seat) => seat.id !== id)?.id;
  }

  /** Also the answer to a join from inside, which goes before the signals that were kept. */
  join(id: Id): void {
    const seat = this.seats.find((one) => one.id === id);
    const other = this.other(id);
    if (seat) {
      const { role } = seat;
      this.inbox[id].unshift({ agent: true, deliver: (room) => (role === 'joined' && other ? room.joined(other, true) : room.created(other, true)) });
    } else if (other === undefined) {
      this.seats.push({ id, role: 'created' });
      this.inbox[id] = [{ agent: true, deliver: (room) => room.created() }];
    } else {
      this.seats.push({ id, role: 'joined' });
      this.inbox[id] = [{ agent: true, deliver: (room) => room.joined(other) }];
      this.inbox[other].push({ agent: true, deliver: (room) => room.arrived(id) });
    }
  }

  free(id: Id, reason: 'left' | 'lost'): void {
    const at = this.seats.findIndex((seat) => seat.id === id);
    if (at < 0) return;
    this.seats.splice(at, 1);
    const rest = this.seats[0];
    if (!rest) return;
    rest.role = 'created';
    this.inbox[rest.id].push({ agent: true, deliver: (room) => room.left(reason) });
  }

  signal(from: Id, message: PeerMessage): void {
    const to = this.other(from);
    if (to && this.seats.length === 2) this.inbox[to].push({ agent: false, deliver: (room) => room.fellow?.id === from && room.signal(message) });
  }

  /** Hands over one message. */
  step(id: Id): boolean {
    const side = this.sides[id];
    if (!side?.reachable) return false;
    const next = this.inbox[id].shift();
    next?.deliver(side.room);
    return next !== undefined;
  }

  /** The network tells the connections of both what becomes of them. */
  network(): void {
    const [a, b] = [this.sides.alice?.pc, this.sides.bob?.pc];
    for (const [pc, other] of [[a, b], [b, a]] as const) {
      if (!pc) continue;
      if (other && pc.reaches(other)) pc.become('connected');
      else if (pc.connectionState === 'connected') pc.become('disconnected');
      else if (pc.remoteDescription && pc.signalingState === 'stable') pc.become('failed');
    }
  }
}

/** One page: it ends with a reload. */
class Side {
  readonly room = new FakeRoom();
  readonly call: Call;
  reachable = true;
  pc: FakePeerConnection | undefined;
  #outbox: { message: PeerMessage; done: () => void }[] = [];

  constructor(world: World, id: Id, over: boolean) {
    this.room.onSend = (message) =>
      new Promise((resolve) => {
        this.#outbox.push({ message, done: resolve });
        this.flush(world, id);
      });
    this.call = new Call(this.room, {
      over,
      createPeerConnection: (configuration) => {
        this.pc = new FakePeerConnection(configuration);
        return this.pc as unknown as RTCPeerConnection;
      },
    });
  }

  flush(world: World, id: Id): void {
    if (!this.reachable || this.room.status !== 'inside') return;
    for (const { message, done } of this.#outbox.splice(0)) {
      world.signal(id, JSON.parse(JSON.stringify(message)) as PeerMessage);
      done();
    }
  }
}

const ACTIONS = ['reload', 'lose', 'back', 'expire', 'leave', 'fail', 'hang up', 'again', 'step', 'step', 'step', 'wait'] as const;
type Action = [(typeof ACTIONS)[number], Id];

function open(world: World, id: Id): void {
  world.sides[id] = new Side(world, id, false);
  world.join(id);
  world.sides[id].call.start(media('audio', 'video'));
}

function close(world: World, id: Id): void {
  const side = world.sides[id];
  side?.call.close();
  side?.pc?.close();
  delete world.sides[id];
}

async function act(world: World, [action, id]: Action): Promise<void> {
  const side = world.sides[id];
  switch (action) {
    case 'reload':
      close(world, id);
      return open(world, id);
    case 'lose':
      if (side) [side.reachable, side.room.status] = [false, 'reconnecting'];
      return;
    case 'back':
      return back(world, id);
    case 'expire':
      // The grace time has run out.
      if (side && !side.reachable) world.free(id, 'lost');
      return;
    case 'leave':
      close(world, id);
      return world.free(id, 'left');
    case 'fail':
      side?.pc?.become('failed');
      return;
    case 'hang up':
      if (side?.call.state === 'connected') side.call.hangUp();
      return;
    case 'again':
      side?.call.again();
      return;
    case 'step':
      world.step(id);
      side?.flush(world, id);
      return void (await vi.advanceTimersByTimeAsync(0));
    case 'wait':
      world.network();
      return void (await vi.advanceTimersByTimeAsync(1_000));
  }
}

function back(world: World, id: Id): void {
  const side = world.sides[id];
  if (!side) return open(world, id);
  if (side.reachable) return;
  side.reachable = true;
  world.join(id);
}

async function quiet(world: World): Promise<boolean> {
  for (let second = 0; second < 120; second += 1) {
    for (const id of ['alice', 'bob'] as const) {
      if (!world.sides[id]?.reachable) back(world, id);
      const state = world.sides[id]?.call.state;
      if (state === 'ringing') world.sides[id]?.call.again();
    }
    if (world.sides.alice?.call.state === 'over' && world.sides.bob?.call.state === 'over') world.sides.alice.call.again();
    for (let turns = 0; turns < 50; turns += 1) {
      const moved = [world.step('alice'), world.step('bob')];
      world.sides.alice?.flush(world, 'alice');
      world.sides.bob?.flush(world, 'bob');
      await vi.advanceTimersByTimeAsync(0);
      if (!moved.includes(true)) break;
    }
    world.network();
    const [alice, bob] = [world.sides.alice, world.sides.bob];
    const idle = world.inbox.alice.length + world.inbox.bob.length === 0;
    if (idle && alice?.call.state === 'connected' && bob?.call.state === 'connected' && alice.pc && bob.pc && alice.pc.reaches(bob.pc)) return true;
    await vi.advanceTimersByTimeAsync(1_000);
  }
  return false;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('MediaStream', FakeMediaStream);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('two always find each other again', async () => {
  const action = fc.tuple(fc.constantFrom(...ACTIONS), fc.constantFrom<Id[]>('alice', 'bob'));
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
      vi.clearAllTimers();
      const world = new World();
      open(world, 'alice');
      open(world, 'bob');
      for (const one of actions) await act(world, one);
      const found = await quiet(world);
      const states = `alice ${world.sides.alice?.call.state}, bob ${world.sides.bob?.call.state}`;
      for (const id of ['alice', 'bob'] as const) close(world, id);
      expect(found, states).toBe(true);
    }),
    { numRuns: 1000 },
  );
}, 120_000);
