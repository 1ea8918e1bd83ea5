import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Call, type CallState } from '../src/call.ts';
import type { PeerMessage, Signal } from '../src/messages.ts';
import { FakeMediaStream, FakePeerConnection, media } from './fakes/peer-connection.ts';
import { FakeRoom } from './fakes/room.ts';

/** One side: its room, its call, and the connections that it has made. */
class Side {
  readonly room = new FakeRoom();
  readonly pcs: FakePeerConnection[] = [];
  readonly states: CallState[] = [];
  readonly streams: unknown[] = [];
  readonly errors: unknown[] = [];
  readonly call: Call;

  constructor(over = false) {
    this.call = new Call(this.room, {
      over,
      createPeerConnection: (configuration) => {
        const pc = new FakePeerConnection(configuration);
        this.pcs.push(pc);
        return pc as unknown as RTCPeerConnection;
      },
      on: {
        state: (state) => this.states.push(state),
        stream: (stream) => this.streams.push(stream),
        error: (error) => this.errors.push(error),
      },
    });
  }

  get pc(): FakePeerConnection {
    const pc = this.pcs.at(-1);
    if (!pc) throw new Error('no connection was made');
    return pc;
  }
}

/** Lets everything that is due happen. */
const settle = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

/** What one says the other hears, in its order. */
function link(one: Side, other: Side): void {
  const to = (side: Side) => async (message: PeerMessage) => {
    await Promise.resolve();
    side.room.signal(JSON.parse(JSON.stringify(message)) as PeerMessage);
  };
  one.room.onSend = to(other);
  other.room.onSend = to(one);
}

/** Two in a call: the first created, the second joined. */
async function connected(): Promise<[Side, Side]> {
  const alice = new Side();
  const bob = new Side();
  link(alice, bob);
  alice.room.created();
  alice.call.start(media('audio', 'video'));
  bob.room.joined('alice');
  alice.room.arrived('bob');
  bob.call.start(media('audio', 'video'));
  await settle();
  expect(alice.pc.reaches(bob.pc)).toBe(true);
  for (const { pc } of [alice, bob]) pc.become('connected');
  for (const { room } of [alice, bob]) room.sent = [];
  return [alice, bob];
}

const offer = (certificate: string): Signal => ({
  type: 'offer',
  sdp: `v=0\r\na=fingerprint:${certificate}\r\na=ice-ufrag:${certificate}-0\r\na=offer:${certificate}\r\n`,
});
const candidate = (certificate: string): Signal => ({
  type: 'candidate',
  candidate: { candidate: 'candidate:9', sdpMid: '0', usernameFragment: `${certificate}-0` },
});

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('MediaStream', FakeMediaStream);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the first call', () => {
  test('who joined says ready, who created offers, and they reach each other', async () => {
    const [alice, bob] = await connected();
    expect(alice.states).toEqual(['negotiating', 'connected']);
    expect(bob.states).toEqual(['negotiating', 'connected']);
    expect([alice.pcs.length, bob.pcs.length]).toEqual([1, 1]);
    expect([...alice.errors, ...bob.errors]).toEqual([]);
    expect(alice.pc.configuration).toEqual({ iceServers: [{ urls: 'stun:x' }] });
    expect(alice.room.reports).toEqual(['connected']);
  });

  test('the one who created says nothing until the other one is ready', async () => {
    const alice = new Side();
    alice.room.created();
    alice.call.start(media('audio'));
    alice.room.arrived('bob');
    await settle();
    expect(alice.room.said()).toEqual([]);
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(alice.room.said()).toEqual(['offer']);
  });

  test('ready waits for the media', async () => {
    const bob = new Side();
    bob.room.joined('alice');
    await settle();
    expect(bob.room.said()).toEqual([]);
    bob.call.start(media('audio'));
    expect(bob.room.said()).toEqual(['ready']);
  });

  test('a ready that came while the media was awaited is answered with an offer, not with ready', async () => {
    const bob = new Side();
    bob.room.joined('alice');
    bob.room.signal({ type: 'ready' });
    await settle();
    expect(bob.pcs).toEqual([]);
    bob.call.start(media('audio'));
    await settle();
    expect(bob.room.said()).toEqual(['offer']);
  });

  test('a call that is made after the room was entered finds its place', async () => {
    const room = new FakeRoom();
    room.joined('alice');
    const call = new Call(room);
    expect(call.state).toBe('negotiating');
    call.start(undefined);
    expect(room.said()).toEqual(['ready']);
  });

  test('a call that is made after the other one arrived waits for its ready', () => {
    const room = new FakeRoom();
    room.created();
    room.arrived('bob');
    new Call(room).start(undefined);
    expect(room.said()).toEqual([]);
  });

  test('one stream for each connection, set once', async () => {
    const [alice] = await connected();
    expect(alice.streams.length).toBe(1);
    expect((alice.streams[0] as FakeMediaStream).tracks.length).toBe(2);
  });

  test('who only looks offers to receive', async () => {
    const viewer = new Side();
    viewer.room.created();
    viewer.call.start(undefined);
    viewer.room.arrived('camera');
    viewer.room.signal({ type: 'ready' });
    await settle();
    expect(viewer.pc.transceivers.map(({ kind, direction }) => `${kind} ${direction}`)).toEqual(['audio recvonly', 'video recvonly']);
  });
});

describe('candidates', () => {
  test('one that comes before its description is kept, and added after it', async () => {
    const bob = new Side();
    bob.room.joined('alice');
    bob.call.start(media('audio'));
    bob.room.signal(candidate('a'));
    await settle();
    expect(bob.pc.candidates).toEqual([]);
    bob.room.signal(offer('a'));
    await settle();
    expect(bob.pc.candidates).toEqual([(candidate('a') as { candidate: unknown }).candidate]);
    expect(bob.errors).toEqual([]);
  });

  test('one of a connection that is gone is not added', async () => {
    const bob = new Side();
    bob.room.joined('alice');
    bob.call.start(media('audio'));
    bob.room.signal(offer('new'));
    bob.room.signal(candidate('old'));
    bob.room.signal({ type: 'candidate', candidate: null });
    await settle();
    expect(bob.pc.candidates).toEqual([]);
    expect(bob.errors).toEqual([]);
  });

  test('the end of the candidates is said and heard', async () => {
    const [, bob] = await connected();
    expect(bob.pc.candidates.at(-1)).toBeUndefined();
    expect(bob.pc.candidates.length).toBe(3);
  });
});

describe('both offer at once', () => {
  test('the impolite side goes on, the polite one gives way, and they meet', async () => {
    const [alice, bob] = await connected();
    alice.pc.restartIce();
    bob.pc.restartIce();
    await settle();
    expect(alice.pc.reaches(bob.pc)).toBe(true);
    expect(alice.pc.mismatched || bob.pc.mismatched).toBe(false);
    expect(alice.room.said()).toEqual(['offer']);
    expect(bob.room.said()).toContain('answer');
    expect([alice.pcs.length, bob.pcs.length]).toEqual([1, 1]);
    expect([...alice.errors, ...bob.errors]).toEqual([]);
  });

  test('both are ready at once: one fresh connection each', async () => {
    const alice = new Side();
    const bob = new Side();
    link(alice, bob);
    alice.room.created('bob', true);
    bob.room.joined('alice', true);
    alice.call.start(media('audio'));
    bob.call.start(media('audio'));
    await settle();
    expect(alice.pc.reaches(bob.pc)).toBe(true);
    expect([alice.pcs.length, bob.pcs.length]).toEqual([1, 1]);
  });
});

describe('beginning anew', () => {
  test('ready on a connection that was answered makes a fresh one', async () => {
    const [alice] = await connected();
    const old = alice.pc;
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(old.signalingState).toBe('closed');
    expect(alice.pcs.length).toBe(2);
    expect(alice.room.said()).toContain('offer');
  });

  test('ready on an offer that was not answered says the same offer again', async () => {
    const alice = new Side();
    alice.room.created('bob', true);
    alice.call.start(media('audio'));
    alice.room.signal({ type: 'ready' });
    await settle();
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(alice.pcs.length).toBe(1);
    const offers = alice.room.sent.filter(({ type }) => type === 'offer').map((message) => (message as { sdp: string }).sdp);
    expect(offers.length).toBe(2);
    expect(offers[0]).toBe(offers[1]);
  });

  test('an offer with another certificate is answered on a fresh connection', async () => {
    const [, bob] = await connected();
    bob.room.onSend = () => Promise.resolve();
    bob.room.signal(offer('other'));
    await settle();
    expect(bob.pcs.length).toBe(2);
    expect(bob.pc.remoteDescription?.sdp).toContain('fingerprint:other');
  });

  test('an answer with another certificate means that this side has to offer anew', async () => {
    const [alice] = await connected();
    alice.room.signal({ type: 'answer', sdp: 'v=0\r\na=fingerprint:other\r\n' });
    await settle();
    expect(alice.pcs.length).toBe(2);
    expect(alice.room.said()).toEqual(['offer']);
  });

  test('offers that were kept for what this peer was before are not answered', async () => {
    const bob = new Side();
    let acknowledge = () => {};
    bob.room.onSend = () => new Promise((resolve) => (acknowledge = resolve));
    bob.room.joined('alice', true);
    bob.call.start(media('audio'));
    bob.room.signal(offer('stale'));
    await settle();
    expect(bob.room.said()).toEqual(['ready']);
    acknowledge();
    await settle();
    bob.room.signal(offer('fresh'));
    await settle();
    expect(bob.room.said()).toEqual(['answer']);
  });

  test('the second one goes and another comes: nothing of the old call stays', async () => {
    const [alice] = await connected();
    alice.room.left('left');
    expect(alice.call.state).toBe('waiting');
    expect(alice.pc.signalingState).toBe('closed');
    expect(alice.streams.at(-1)).toBeUndefined();
    alice.room.arrived('carol');
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(alice.pcs.length).toBe(2);
  });

  test('a step that is lost is said again', async () => {
    const bob = new Side();
    bob.room.joined('alice');
    bob.call.start(media('audio'));
    expect(bob.room.said()).toEqual(['ready']);
    await settle(10_000);
    expect(bob.room.said()).toEqual(['ready']);
    const alice = new Side();
    alice.room.created('bob', true);
    alice.call.start(media('audio'));
    alice.room.signal({ type: 'ready' });
    await settle(10_000);
    expect(alice.room.said()).toEqual(['ready', 'offer', 'offer']);
  });
});

describe('when the broker is lost', () => {
  test('the call goes on, and after the resume nothing is said', async () => {
    const [alice, bob] = await connected();
    alice.room.created('bob', true);
    bob.room.joined('alice', true);
    await settle(60_000);
    expect([...alice.room.said(), ...bob.room.said()]).toEqual([]);
    expect([alice.pcs.length, bob.pcs.length]).toEqual([1, 1]);
  });

  test('the call goes on even if the seats were lost, and came back in the other order', async () => {
    const [alice, bob] = await connected();
    bob.room.created();
    alice.room.joined('bob');
    bob.room.arrived('alice');
    await settle(60_000);
    expect([...alice.room.said(), ...bob.room.said()]).toEqual([]);
    expect([alice.call.state, bob.call.state]).toEqual(['connected', 'connected']);
    // The roles have changed with the seats: at a glare there is still one who gives way.
    alice.pc.restartIce();
    bob.pc.restartIce();
    await settle();
    expect(alice.pc.reaches(bob.pc)).toBe(true);
    expect(bob.room.said()).toEqual(['offer']);
  });

  test('the other one loses its seat but not its media: the call goes on until that ends too', async () => {
    const [alice] = await connected();
    alice.room.left('lost');
    expect(alice.call.state).toBe('connected');
    alice.pc.become('disconnected');
    expect(alice.call.state).toBe('waiting');
    expect(alice.pc.signalingState).toBe('closed');
  });
});

describe('when the path is lost', () => {
  test('failed: the impolite side restarts ICE at once', async () => {
    const [alice, bob] = await connected();
    bob.pc.become('failed');
    alice.pc.become('failed');
    expect(alice.call.state).toBe('interrupted');
    await settle();
    expect(alice.room.said()).toEqual(['offer']);
    expect(alice.pc.ice).toBe(1);
    expect(alice.pc.reaches(bob.pc)).toBe(true);
    expect(bob.room.said()).toEqual(['answer']);
    alice.pc.become('connected');
    expect(alice.call.state).toBe('connected');
  });

  test('disconnected: first patience, then a restart', async () => {
    const [alice] = await connected();
    alice.pc.become('disconnected');
    await settle(2_900);
    expect(alice.room.said()).toEqual([]);
    await settle(200);
    expect(alice.room.said()).toEqual(['offer']);
  });

  test('the polite side restarts if the impolite one does not', async () => {
    const [alice, bob] = await connected();
    alice.call.close();
    bob.pc.become('failed');
    await settle(4_900);
    expect(bob.room.said()).toEqual([]);
    await settle(200);
    expect(bob.room.said()).toEqual(['offer']);
  });

  test('a restart that does not help is followed by a fresh connection', async () => {
    const [alice, bob] = await connected();
    alice.pc.become('failed');
    await settle();
    alice.pc.become('connecting');
    alice.pc.become('failed');
    await settle(5_000);
    expect(alice.pcs.length).toBe(2);
    expect(bob.pcs.length).toBe(2);
    expect(alice.pc.reaches(bob.pc)).toBe(true);
  });

  test('without the broker it waits for the resume', async () => {
    const [alice] = await connected();
    alice.room.status = 'reconnecting';
    alice.pc.become('failed');
    await settle(60_000);
    expect(alice.room.said()).toEqual([]);
    alice.room.created('bob', true);
    await settle();
    expect(alice.room.said()).toEqual(['offer']);
  });
});

describe('hanging up', () => {
  test('is said, both stay, and either may call again', async () => {
    const [alice, bob] = await connected();
    alice.call.hangUp();
    await settle();
    expect([alice.call.state, bob.call.state]).toEqual(['over', 'over']);
    expect(alice.pc.signalingState).toBe('closed');
    expect(alice.room.said()).toEqual(['bye']);
    alice.call.again();
    await settle();
    expect(alice.pc.reaches(bob.pc)).toBe(true);
  });

  test('who has hung up is asked before it is seen and heard again', async () => {
    const [alice, bob] = await connected();
    alice.call.hangUp();
    await settle();
    bob.call.again();
    await settle();
    expect(alice.call.state).toBe('ringing');
    expect(alice.pcs.length).toBe(1);
    alice.call.again();
    await settle();
    expect(alice.pc.reaches(bob.pc)).toBe(true);
  });

  test('stays so over a reload, and ends with the other one', async () => {
    const alice = new Side(true);
    alice.room.created('bob', true);
    alice.call.start(media('audio'));
    expect(alice.call.state).toBe('over');
    alice.room.signal(offer('b'));
    await settle();
    expect(alice.room.said()).toEqual([]);
    alice.room.left('left');
    alice.room.arrived('carol');
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(alice.room.said()).toEqual(['offer']);
  });
});

describe('changes on the way', () => {
  test('another device is sent without a negotiation, and stays for the next connection', async () => {
    const [alice] = await connected();
    const track = { kind: 'video' } as MediaStreamTrack;
    await alice.call.replaceTrack('video', track);
    await settle();
    expect(alice.pc.transceivers.find(({ kind }) => kind === 'video')?.sender.track).toBe(track);
    expect(alice.room.said()).toEqual([]);
    alice.room.signal({ type: 'ready' });
    await settle();
    expect(alice.pc.transceivers.find(({ kind }) => kind === 'video')?.sender.track).toBe(track);
  });

  test('fresh credentials go to the connection, and nothing is negotiated for their sake', async () => {
    const [alice] = await connected();
    alice.room.servers([{ urls: 'turn:new' }]);
    await settle();
    expect(alice.pc.configuration.iceServers).toEqual([{ urls: 'turn:new' }]);
    expect(alice.room.said()).toEqual([]);
  });

  test('those that come with the answer after a lost broker go to the connection that goes on', async () => {
    const [alice, bob] = await connected();
    alice.room.iceServers = bob.room.iceServers = [{ urls: 'turn:new' }];
    alice.room.created('bob', true);
    bob.room.joined('alice', false);
    for (const { pc } of [alice, bob]) expect(pc.configuration.iceServers).toEqual([{ urls: 'turn:new' }]);
    alice.room.iceServers = [{ urls: 'turn:newer' }];
    alice.room.created();
    expect(alice.pc.configuration.iceServers, 'alone by the account of an agent that began anew').toEqual([{ urls: 'turn:newer' }]);
  });

  test('whatever else the connection was made with stays', async () => {
    const room = new FakeRoom();
    let pc: FakePeerConnection | undefined;
    const errors: unknown[] = [];
    new Call(room, {
      iceTransportPolicy: 'relay',
      createPeerConnection: (configuration) => {
        pc = new FakePeerConnection({ ...configuration, bundlePolicy: 'max-bundle' });
        return pc as unknown as RTCPeerConnection;
      },
      on: { error: (error) => errors.push(error) },
    }).start(undefined);
    room.created();
    room.arrived('bob');
    room.signal({ type: 'ready' });
    await settle();
    expect(pc?.configuration).toEqual({ iceServers: [{ urls: 'stun:x' }], iceTransportPolicy: 'relay', bundlePolicy: 'max-bundle' });
    room.servers([{ urls: 'turn:new' }]);
    expect(pc?.configuration).toEqual({ iceServers: [{ urls: 'turn:new' }], iceTransportPolicy: 'relay', bundlePolicy: 'max-bundle' });
    expect(errors).toEqual([]);
  });

  test('servers that the browser cannot read are an error, not the end', async () => {
    const room = new FakeRoom();
    const errors: unknown[] = [];
    new Call(room, {
      iceTransportPolicy: 'relay',
      createPeerConnection: (configuration) => {
        if (configuration.iceServers) throw new SyntaxError('bad url');
        expect(configuration).toEqual({ iceTransportPolicy: 'relay' });
        return new FakePeerConnection(configuration) as unknown as RTCPeerConnection;
      },
      on: { error: (error) => errors.push(error) },
    }).start(undefined);
    room.created();
    room.arrived('bob');
    room.signal({ type: 'ready' });
    await settle();
    expect(errors.length).toBe(1);
    expect(room.said()).toEqual(['offer']);
  });
});
