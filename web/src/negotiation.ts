// One RTCPeerConnection and the talk about it: perfect negotiation (W3C WebRTC 1.0, example 10.7), trickled
// candidates, ICE restart. When to begin anew with another RTCPeerConnection is decided in `call.ts`.
import type { Signal } from './messages.ts';

export interface NegotiationOptions {
  pc: RTCPeerConnection;
  /** Whether this side gives way when both offer at once. */
  polite: boolean;
  send(signal: Signal): void;
  /** Puts this side's tracks in; `offering` tells whether there is an offer of the other side to fit into. */
  addMedia(pc: RTCPeerConnection, offering: boolean): void;
  onError(error: unknown): void;
}

/** Candidates that wait for their description; more than any description has. */
const CANDIDATES_MOST = 200;

type Description = { type: 'offer' | 'answer'; sdp: string };

export class Negotiation {
  readonly pc: RTCPeerConnection;
  polite: boolean;
  readonly #options: NegotiationOptions;
  #remoteFingerprint = '';
  #making = false;
  #ignored = false;
  #mediaAdded = false;
  #candidates: { ufrag: string | undefined; init: RTCIceCandidateInit | null }[] = [];
  #lastUfrag: string | undefined;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: NegotiationOptions) {
    const { pc } = options;
    this.pc = pc;
    this.polite = options.polite;
    this.#options = options;
    pc.onicecandidate = ({ candidate }) => {
      if (!this.#closed) options.send({ type: 'candidate', candidate: candidate?.toJSON() ?? null });
    };
    pc.onnegotiationneeded = () => void this.#offer();
  }

  /** Makes the first offer; a later call says again what has been offered and is not answered. */
  offer(): void {
    if (!this.#mediaAdded) {
      this.#addMedia(true);
      void this.#offer();
    } else if (this.pc.signalingState === 'have-local-offer') {
      this.#sayLocal();
    }
  }

  /** Whether an offer of this side, the first of its connection, waits for its answer. */
  get awaitsFirstAnswer(): boolean {
    return this.#mediaAdded && this.#remoteFingerprint === '';
  }

  /** Whether nothing but candidates has come and gone so far. */
  get untouched(): boolean {
    return !this.#mediaAdded && this.#remoteFingerprint === '';
  }

  /**
   * Whether `description` speaks of the RTCPeerConnection that this one is talking with. A DTLS association
   * belongs to one certificate (RFC 8842, 5.1), so another fingerprint is another connection.
   */
  concerns(description: Description): boolean {
    return this.#remoteFingerprint === '' || fingerprint(description.sdp) === this.#remoteFingerprint;
  }

  receive(signal: Extract<Signal, { type: 'offer' | 'answer' | 'candidate' }>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#closed) return;
      try {
        if (signal.type === 'candidate') await this.#candidate(signal.candidate);
        else await this.#description({ type: signal.type, sdp: signal.sdp });
      } catch (error) {
        if (!this.#closed) this.#options.onError(error);
      }
    });
  }

  /** New candidates on both sides; the media goes on meanwhile. */
  restartIce(): void {
    if (this.pc.signalingState === 'have-local-offer') this.#sayLocal();
    else this.pc.restartIce();
  }

  close(): void {
    this.#closed = true;
    const { pc } = this;
    pc.onicecandidate = pc.onnegotiationneeded = pc.ontrack = pc.onconnectionstatechange = null;
    pc.close();
  }

  #addMedia(offering: boolean): void {
    if (this.#mediaAdded) return;
    this.#mediaAdded = true;
    this.#options.addMedia(this.pc, offering);
  }

  async #offer(): Promise<void> {
    if (this.#making || this.#closed || this.pc.signalingState !== 'stable') return;
    this.#making = true;
    try {
      await this.pc.setLocalDescription();
      this.#sayLocal();
    } catch (error) {
      if (!this.#closed) this.#options.onError(error);
    } finally {
      this.#making = false;
    }
  }

  async #description(description: Description): Promise<void> {
    const { pc } = this;
    const collision = description.type === 'offer' && (this.#making || pc.signalingState !== 'stable');
    this.#ignored = !this.polite && collision;
    if (this.#ignored) return;
    // An answer that came twice, or one to an offer that has been rolled back.
    if (description.type === 'answer' && pc.signalingState !== 'have-local-offer') return;
    this.#remoteFingerprint = fingerprint(description.sdp);
    await pc.setRemoteDescription(description);
    if (description.type === 'offer') {
      this.#addMedia(false);
      await pc.setLocalDescription();
      this.#sayLocal();
    }
    await this.#addCandidates();
  }

  async #candidate(init: RTCIceCandidateInit | null): Promise<void> {
    // The end of the candidates belongs to those that came before it.
    const ufrag = init === null ? this.#lastUfrag : ufragOf(init);
    this.#lastUfrag = ufrag;
    this.#candidates.push({ ufrag, init });
    if (this.#candidates.length > CANDIDATES_MOST) this.#candidates.shift();
    await this.#addCandidates();
  }

  /** Adds those whose description is there. The others wait: it may come, or they are of a connection that is gone. */
  async #addCandidates(): Promise<void> {
    const remote = this.pc.remoteDescription;
    if (!remote) return;
    const present = new Set(Array.from(remote.sdp.matchAll(/^a=ice-ufrag:(\S+)/gm), (match) => match[1]));
    const fitting = this.#candidates.filter(({ ufrag }) => ufrag === undefined || present.has(ufrag));
    this.#candidates = this.#candidates.filter((candidate) => !fitting.includes(candidate));
    for (const { init } of fitting) {
      try {
        // The end is told in the older form too, for browsers that do not take null.
        await this.pc.addIceCandidate(init ?? undefined);
      } catch (error) {
        if (!this.#ignored && !this.#closed) this.#options.onError(error);
      }
    }
  }

  #sayLocal(): void {
    const local = this.pc.localDescription;
    if (this.#closed || !local || (local.type !== 'offer' && local.type !== 'answer')) return;
    this.#options.send({ type: local.type, sdp: local.sdp });
  }
}

function fingerprint(sdp: string): string {
  return /^a=fingerprint:(.*)$/m.exec(sdp)?.[1]?.trim().toLowerCase() ?? 'none';
}

function ufragOf(init: RTCIceCandidateInit): string | undefined {
  return init.usernameFragment ?? / ufrag (\S+)/.exec(init.candidate ?? '')?.[1];
}
