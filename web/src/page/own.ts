// This side's picture and sound while in a room: shown, muted, switched off, moved to another device.
import { type Kind, devices, openDevice } from './media.ts';
import type { Strings } from './strings/strings.ts';
import { elements } from './view.ts';

export interface OwnOptions {
  /** Another track is to be sent from now on. */
  onTrack(kind: Kind, track: MediaStreamTrack): void;
  /** Something that the person should know. */
  onNotice(choose: (strings: Strings) => string): void;
}

export class Own {
  readonly #options: OwnOptions;
  #stream: MediaStream | undefined;
  #muted = false;
  #cameraOff = false;
  #strings: Strings;

  constructor(strings: Strings, options: OwnOptions) {
    this.#strings = strings;
    this.#options = options;
    elements.mute.addEventListener('click', () => this.#set({ muted: !this.#muted }));
    elements.camera.addEventListener('click', () => this.#set({ cameraOff: !this.#cameraOff }));
    elements.devices.addEventListener('click', () => void this.#openMenu());
    elements.cameraDevice.addEventListener('change', () => void this.#change('video', elements.cameraDevice.value));
    elements.microphoneDevice.addEventListener('change', () => void this.#change('audio', elements.microphoneDevice.value));
    elements.speakerDevice.addEventListener('change', () => void this.#changeSpeaker(elements.speakerDevice.value));
    navigator.mediaDevices?.addEventListener('devicechange', () => {
      if (elements.deviceDialog.open) void this.#fillMenu();
    });
  }

  speak(strings: Strings): void {
    this.#strings = strings;
  }

  /** From now on this is this side's media; nothing for only looking. */
  use(stream: MediaStream | undefined): void {
    this.stop();
    this.#stream = stream;
    elements.userVideo.srcObject = stream ?? null;
    for (const track of stream?.getTracks() ?? []) this.#watch(track);
    elements.user.hidden = stream === undefined;
    this.#set({ muted: false, cameraOff: false });
    this.#mirror();
    this.#showControls();
  }

  /** Lets camera and microphone go. */
  stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    elements.userVideo.srcObject = null;
    if (elements.deviceDialog.open) elements.deviceDialog.close();
  }

  #set({ muted = this.#muted, cameraOff = this.#cameraOff }): void {
    this.#muted = muted;
    this.#cameraOff = cameraOff;
    for (const track of this.#stream?.getTracks() ?? []) track.enabled = !(track.kind === 'audio' ? muted : cameraOff);
    elements.mute.ariaPressed = String(muted);
    elements.camera.ariaPressed = String(cameraOff);
    elements.user.classList.toggle('off', cameraOff);
  }

  #showControls(): void {
    const has = (kind: Kind) => this.#stream?.getTracks().some((track) => track.kind === kind) ?? false;
    elements.mute.hidden = elements.camera.hidden = this.#stream === undefined;
    elements.mute.disabled = !has('audio');
    elements.camera.disabled = !has('video');
    elements.devices.hidden = this.#stream === undefined && !('setSinkId' in HTMLMediaElement.prototype);
  }

  /** A person knows itself from the mirror; what a back camera sees is not mirrored. */
  #mirror(): void {
    const facing = this.#stream?.getVideoTracks()[0]?.getSettings().facingMode;
    elements.userVideo.classList.toggle('mirrored', facing !== 'environment');
  }

  #watch(track: MediaStreamTrack): void {
    track.onended = () => this.#options.onNotice(({ media }) => media.stopped);
  }

  async #openMenu(): Promise<void> {
    await this.#fillMenu();
    elements.deviceDialog.showModal();
  }

  async #fillMenu(): Promise<void> {
    const track = (kind: Kind) => this.#stream?.getTracks().find((one) => one.kind === kind)?.getSettings().deviceId;
    const sending = this.#stream !== undefined;
    this.#fill(elements.cameraDevice, sending ? await devices('videoinput') : [], track('video'));
    this.#fill(elements.microphoneDevice, sending ? await devices('audioinput') : [], track('audio'));
    const speakers = 'setSinkId' in HTMLMediaElement.prototype ? await devices('audiooutput') : [];
    this.#fill(elements.speakerDevice, speakers, elements.peerVideo.sinkId || 'default');
  }

  #fill(select: HTMLSelectElement, found: MediaDeviceInfo[], present: string | undefined): void {
    const options = found.map(({ label, deviceId }, at) => new Option(label || this.#strings.unnamedDevice(at + 1), deviceId));
    if (present === undefined) options.unshift(new Option('–', ''));
    select.replaceChildren(...options);
    select.value = present ?? '';
    const row = select.closest('label');
    if (row) row.hidden = found.length === 0;
  }

  async #change(kind: Kind, deviceId: string): Promise<void> {
    const stream = this.#stream;
    if (!stream || deviceId === '') return;
    const old = stream.getTracks().find((track) => track.kind === kind);
    const oldId = old?.getSettings().deviceId;
    if (old) old.onended = null;
    // Phones open one camera at a time.
    if (kind === 'video') old?.stop();
    let track: MediaStreamTrack | undefined;
    try {
      track = await openDevice(kind, deviceId);
    } catch {
      this.#options.onNotice(({ media }) => media.switchFailed);
      if (kind === 'video' && oldId !== undefined) track = await openDevice(kind, oldId).catch(() => undefined);
    }
    if (this.#stream !== stream) return track?.stop();
    if (track) {
      if (old) stream.removeTrack(old);
      old?.stop();
      stream.addTrack(track);
      this.#watch(track);
      this.#options.onTrack(kind, track);
    }
    this.#set({});
    this.#mirror();
    this.#showControls();
    await this.#fillMenu();
  }

  async #changeSpeaker(deviceId: string): Promise<void> {
    try {
      await elements.peerVideo.setSinkId(deviceId);
    } catch {
      this.#options.onNotice(({ media }) => media.switchFailed);
    }
  }
}
