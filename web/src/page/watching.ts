// What one who only watches can do with the picture: see it on the full screen, keep one of it.
import { snapshotName } from './snapshot.ts';
import type { Strings } from './strings/strings.ts';
import { elements } from './view.ts';

export interface WatchingOptions {
  /** What the picture is called, for the file. */
  name(): string;
  /** Something that the person should know. */
  onNotice(choose: (strings: Strings) => string): void;
}

export class Watching {
  readonly #options: WatchingOptions;

  constructor(options: WatchingOptions) {
    this.#options = options;
    const { fullScreen, snapshot, peer } = elements;
    fullScreen.addEventListener('click', () => void this.#toggleFullScreen());
    snapshot.addEventListener('click', () => this.#keep());
    peer.addEventListener('fullscreenchange', () => (fullScreen.ariaPressed = String(document.fullscreenElement === peer)));
    // A double click on a picture is how players everywhere do it.
    peer.addEventListener('dblclick', () => !fullScreen.hidden && void this.#toggleFullScreen());
  }

  /** Shows the buttons, or does not. */
  offer(watching: boolean): void {
    const { fullScreen, snapshot, sound } = elements;
    fullScreen.hidden = !watching || !document.fullscreenEnabled;
    snapshot.hidden = sound.hidden = !watching;
  }

  async #toggleFullScreen(): Promise<void> {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await elements.peer.requestFullscreen();
    } catch {
      this.#options.onNotice(({ noFullScreen }) => noFullScreen);
    }
  }

  /** Gives the present picture to the person as a file, in its own size. */
  #keep(): void {
    const { peerVideo } = elements;
    const { videoWidth: width, videoHeight: height } = peerVideo;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = width > 0 ? canvas.getContext('2d') : null;
    if (!context) return this.#options.onNotice(({ noPicture }) => noPicture);
    context.drawImage(peerVideo, 0, 0);
    const name = snapshotName(this.#options.name(), new Date());
    canvas.toBlob((blob) => {
      if (!blob) return this.#options.onNotice(({ noPicture }) => noPicture);
      const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
      link.click();
      URL.revokeObjectURL(link.href);
      this.#options.onNotice(({ kept }) => kept(name));
    }, 'image/png');
  }
}
