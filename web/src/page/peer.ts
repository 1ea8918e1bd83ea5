// The other one's picture: plays it, and what stands in its place while there is none.
import type { Peer } from '../duet.ts';
import { type State, kind, name } from './status.ts';
import type { Strings } from './strings/strings.ts';
import { elements, write } from './view.ts';
import { readable } from './visit.ts';

export class PeerPicture {
  readonly #onSoundBlocked: (blocked: boolean) => void;
  /** The person wants no sound. */
  #silent = false;

  constructor(onSoundBlocked: (blocked: boolean) => void) {
    this.#onSoundBlocked = onSoundBlocked;
    const { peerVideo, soundOn } = elements;
    for (const event of ['resize', 'loadeddata', 'emptied']) peerVideo.addEventListener(event, () => this.#uncover());
    elements.sound.addEventListener('click', () => {
      this.#silent = !this.#silent;
      elements.sound.ariaPressed = String(this.#silent);
      peerVideo.muted = this.#silent;
    });
    soundOn.addEventListener('click', () => {
      peerVideo.muted = false;
      void peerVideo.play().then(() => this.#blocked(false), () => {});
    });
  }

  /** Set once for each stream: setting it again would interrupt what plays. */
  show(stream: MediaStream | undefined): void {
    const { peerVideo } = elements;
    peerVideo.srcObject = stream ?? null;
    this.#uncover();
    this.#blocked(false);
    if (!stream) return;
    peerVideo.muted = this.#silent;
    peerVideo.play().catch((error: unknown) => {
      // Without a click on the page, as after a reload, browsers play no sound.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || peerVideo.srcObject !== stream) return;
      peerVideo.muted = true;
      peerVideo.play().catch(() => {});
      this.#blocked(true);
    });
  }

  describe(state: State, fellow: Peer | undefined, link: string, strings: Strings): void {
    const { placeholder, placeholderText, link: linkElement, peerName } = elements;
    const alone = state === 'waiting' || state === 'left';
    placeholder.classList.toggle('waiting', alone || state === 'negotiating');
    linkElement.hidden = !alone;
    write(linkElement, readable(link));
    write(placeholderText, alone ? strings.invite : state === 'connected' ? this.#missing(fellow, strings) : '');
    const given = name(fellow, strings);
    peerName.hidden = state !== 'connected' || given === strings.who.other;
    const what = given === strings.who.camera ? '' : kind(fellow, strings);
    write(peerName, what === '' ? given : `${given} · ${what}`);
    // A device without a microphone has nothing to be silenced.
    const stream = elements.peerVideo.srcObject;
    elements.sound.disabled = !(stream instanceof MediaStream && stream.getAudioTracks().length > 0);
  }

  #missing(fellow: Peer | undefined, strings: Strings): string {
    if (fellow?.info?.['kind'] === 'viewer') return strings.onlyWatching;
    const stream = elements.peerVideo.srcObject;
    const video = stream instanceof MediaStream && stream.getVideoTracks().some((track) => !track.muted);
    return video ? strings.noPicture : strings.soundOnly;
  }

  #uncover(): void {
    const { peerVideo, placeholder } = elements;
    placeholder.hidden = peerVideo.srcObject !== null && peerVideo.videoWidth > 0;
  }

  #blocked(blocked: boolean): void {
    elements.soundOn.hidden = !blocked;
    this.#onSoundBlocked(blocked);
  }
}
