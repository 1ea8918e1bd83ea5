// A stand-in for RTCPeerConnection that keeps the rules which matter for a negotiation: signaling states,
// implicit rollback, candidates that need their description, one certificate for each connection, and answers
// that fit only the offer they were made for.

interface FakeTransceiver {
  kind: string;
  direction: RTCRtpTransceiverDirection;
  sender: { track: MediaStreamTrack | null; replaceTrack(track: MediaStreamTrack | null): Promise<void> };
  receiver: { track: { kind: string } };
}

let made = 0;

export class FakePeerConnection {
  readonly certificate = `fp-${(made += 1)}`;
  configuration: RTCConfiguration;
  signalingState: RTCSignalingState = 'stable';
  connectionState: RTCPeerConnectionState = 'new';
  localDescription: RTCSessionDescription | null = null;
  remoteDescription: RTCSessionDescription | null = null;
  readonly transceivers: FakeTransceiver[] = [];
  readonly candidates: (RTCIceCandidateInit | undefined)[] = [];
  ice = 0;
  /** Set when an answer came that was not for the offer it met. */
  mismatched = false;
  onicecandidate: ((event: { candidate: { toJSON(): RTCIceCandidateInit } | null }) => void) | null = null;
  onnegotiationneeded: (() => void) | null = null;
  ontrack: ((event: { track: unknown }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  #needed = false;
  #rolledBack: { local: RTCSessionDescription | null } | undefined;

  constructor(configuration: RTCConfiguration = {}) {
    this.configuration = configuration;
  }

  get ufrag(): string {
    return `${this.certificate}-${this.ice}`;
  }

  addTrack(track: MediaStreamTrack): void {
    const free = this.transceivers.find((one) => one.kind === track.kind && one.sender.track === null);
    if (free) {
      free.sender.track = track;
      free.direction = 'sendrecv';
    } else {
      this.#add(track.kind, 'sendrecv', track);
    }
    this.#negotiationNeeded();
  }

  addTransceiver(kind: string, { direction }: RTCRtpTransceiverInit): void {
    this.#add(kind, direction ?? 'sendrecv', null);
    this.#negotiationNeeded();
  }

  getTransceivers(): FakeTransceiver[] {
    return this.transceivers;
  }

  getConfiguration(): RTCConfiguration {
    return { iceServers: [], iceTransportPolicy: 'all', bundlePolicy: 'balanced', ...this.configuration };
  }

  /** What is left out is the default again, and bundling stays as it was (W3C WebRTC, 4.4.2). */
  setConfiguration(configuration: RTCConfiguration): void {
    const bundlePolicy = configuration.bundlePolicy ?? 'balanced';
    if (bundlePolicy !== this.getConfiguration().bundlePolicy) throw new DOMException('', 'InvalidModificationError');
    this.configuration = { iceServers: [], iceTransportPolicy: 'all', ...configuration };
  }

  restartIce(): void {
    this.ice += 1;
    this.#negotiationNeeded();
  }

  async setLocalDescription(): Promise<void> {
    await Promise.resolve();
    this.#mustBeOpen();
    this.#needed = false;
    if (this.signalingState === 'have-remote-offer') {
      this.localDescription = this.#describe('answer', `a=answers:${/a=offer:(\S+)/.exec(this.remoteDescription?.sdp ?? '')?.[1]}`);
      this.signalingState = 'stable';
    } else {
      this.#rolledBack = { local: this.localDescription };
      this.localDescription = this.#describe('offer', `a=offer:${(made += 1)}`);
      this.signalingState = 'have-local-offer';
    }
    for (const number of [1, 2]) {
      const init = { candidate: `candidate:${number} ufrag ${this.ufrag}`, sdpMid: '0', usernameFragment: this.ufrag };
      queueMicrotask(() => this.onicecandidate?.({ candidate: { toJSON: () => init } }));
    }
    queueMicrotask(() => this.onicecandidate?.({ candidate: null }));
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await Promise.resolve();
    this.#mustBeOpen();
    if (description.type === 'answer') {
      if (this.signalingState !== 'have-local-offer') throw new Error(`an answer in ${this.signalingState}`);
      const offer = /a=offer:(\S+)/.exec(this.localDescription?.sdp ?? '')?.[1];
      if (!description.sdp?.includes(`a=answers:${offer}\r\n`)) this.mismatched = true;
      this.signalingState = 'stable';
    } else {
      if (this.signalingState === 'have-local-offer') this.localDescription = this.#rolledBack?.local ?? null;
      this.signalingState = 'have-remote-offer';
      if (this.transceivers.length === 0) for (const kind of ['audio', 'video']) this.#add(kind, 'recvonly', null);
    }
    this.remoteDescription = description as RTCSessionDescription;
    for (const { receiver } of this.transceivers) this.ontrack?.({ track: receiver.track });
  }

  async addIceCandidate(candidate?: RTCIceCandidateInit): Promise<void> {
    await Promise.resolve();
    this.#mustBeOpen();
    if (!this.remoteDescription) throw new Error('a candidate before its description');
    const ufrag = candidate?.usernameFragment;
    if (ufrag && !this.remoteDescription.sdp.includes(`a=ice-ufrag:${ufrag}\r\n`)) throw new Error(`unknown ufrag ${ufrag}`);
    this.candidates.push(candidate);
  }

  close(): void {
    this.signalingState = 'closed';
    this.connectionState = 'closed';
  }

  /** What the network says. */
  become(state: RTCPeerConnectionState): void {
    if (this.connectionState === state || this.connectionState === 'closed') return;
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  /** Whether the two could exchange media: each has the other's present credentials and all is settled. */
  reaches(other: FakePeerConnection): boolean {
    const knows = (one: FakePeerConnection, peer: FakePeerConnection) =>
      one.signalingState === 'stable' &&
      one.remoteDescription !== null &&
      one.remoteDescription.sdp.includes(`fingerprint:${peer.certificate}\r\n`) &&
      one.remoteDescription.sdp.includes(`a=ice-ufrag:${peer.ufrag}\r\n`);
    return !this.mismatched && !other.mismatched && knows(this, other) && knows(other, this);
  }

  #describe(type: 'offer' | 'answer', line: string): RTCSessionDescription {
    const sdp = ['v=0', `a=fingerprint:${this.certificate}`, `a=ice-ufrag:${this.ufrag}`, line, ''].join('\r\n');
    return { type, sdp } as RTCSessionDescription;
  }

  #add(kind: string, direction: RTCRtpTransceiverDirection, track: MediaStreamTrack | null): void {
    const sender: FakeTransceiver['sender'] = { track, replaceTrack: async (next) => void (sender.track = next) };
    this.transceivers.push({ kind, direction, sender, receiver: { track: { kind } } });
  }

  #negotiationNeeded(): void {
    this.#needed = true;
    queueMicrotask(() => {
      if (this.#needed && this.signalingState === 'stable') {
        this.#needed = false;
        this.onnegotiationneeded?.();
      }
    });
  }

  #mustBeOpen(): void {
    if (this.signalingState === 'closed') throw new Error('the connection is closed');
  }
}

export class FakeMediaStream {
  readonly tracks: unknown[];
  constructor(tracks: unknown[] = []) {
    this.tracks = [...tracks];
  }
  addTrack(track: unknown): void {
    if (!this.tracks.includes(track)) this.tracks.push(track);
  }
  getTracks(): unknown[] {
    return this.tracks;
  }
}

export function media(...kinds: string[]): MediaStream {
  return new FakeMediaStream(kinds.map((kind) => ({ kind }))) as unknown as MediaStream;
}
