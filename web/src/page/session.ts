// One person's way through the page: join, be in a room, leave. It holds the situation, from which the status
// line and the rest of the view follow.
import { Call, type Peer, Room, type RoomEnd, renew, roomProblem } from '../duet.ts';
import { ROOMS_MOST, cameraRoom, cameraRoomNumber, choosePlace } from './camera-rooms.ts';
import { MediaError, allowed, mediaProblem, open } from './media.ts';
import { Own } from './own.ts';
import { PeerPicture } from './peer.ts';
import { type Situation, name as nameOf, nobody, status } from './status.ts';
import type { Strings } from './strings/strings.ts';
import { workerTimers } from './timers.ts';
import { forgetToken } from './token.ts';
import { actions, elements, showStatus, showView, write } from './view.ts';
import { type Mode, type Visit, address, note } from './visit.ts';
import { Watching } from './watching.ts';

type Notice = (strings: Strings) => string;

const COPIED_FOR = 2_000;

export class Session {
  #peer: Promise<string>;
  #strings: Strings;
  #situation: Situation = nobody;
  #notice: Notice | undefined;
  #soundBlocked = false;
  /** Whether the call may go only over a relay, and whether there is one. */
  readonly #relay: boolean;
  #relayMissing = false;
  #mode: Mode = 'camera';
  /** The camera that the address names. */
  readonly #camera: string | undefined;
  /** Which of that camera's rooms is being tried, or was found; nothing when another room was asked for. */
  #place: number | undefined;
  #room: Room | undefined;
  #call: Call | undefined;
  /** Counts the tries to join: what belongs to an older one is dropped. */
  #try = 0;
  readonly #token: string | undefined;
  readonly #timers = workerTimers();
  readonly #own: Own;
  readonly #picture: PeerPicture;
  readonly #watching: Watching;

  constructor(peer: Promise<string>, strings: Strings, { camera, relay, token }: { camera: string | undefined; relay: boolean; token: string | undefined }) {
    this.#peer = peer;
    this.#camera = camera;
    this.#relay = relay;
    this.#token = token;
    this.#strings = strings;
    this.#own = new Own(strings, {
      onTrack: (kind, track) => void this.#call?.replaceTrack(kind, track).catch((error: unknown) => this.#callError(error)),
      onNotice: (notice) => this.#tell(notice),
    });
    this.#picture = new PeerPicture((blocked) => {
      this.#soundBlocked = blocked;
      this.#render();
    });
    this.#watching = new Watching({
      name: () => nameOf(this.#situation.fellow, this.#strings),
      onNotice: (notice) => this.#tell(notice),
    });
    this.#wire();
    this.#render();
  }

  /** Whether nothing has been begun yet. */
  get idle(): boolean {
    return this.#try === 0;
  }

  speak(strings: Strings): void {
    this.#strings = strings;
    this.#own.speak(strings);
    this.#render();
  }

  /** Back after a reload: the seat is still there for a while. */
  resume(visit: Visit): Promise<void> {
    if (this.#camera !== undefined) this.#place = cameraRoomNumber(this.#camera, visit.room);
    elements.room.value = this.#camera ?? visit.room;
    elements.watchOnly.checked = visit.mode === 'view';
    return this.#enter(visit.room, visit.mode, { quick: true, over: visit.over });
  }

  #wire(): void {
    elements.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit(elements.watchOnly.checked ? 'view' : 'camera');
    });
    elements.room.addEventListener('input', () => {
      if (this.#situation.nameProblem) this.#change({ nameProblem: undefined });
    });
    actions['try-again'].addEventListener('click', () => void this.#submit(elements.watchOnly.checked ? 'view' : this.#mode));
    actions['audio-only'].addEventListener('click', () => void this.#submit('microphone'));
    actions['watch-only'].addEventListener('click', () => {
      elements.watchOnly.checked = true;
      void this.#submit('view');
    });
    actions['call-again'].addEventListener('click', () => this.#again());
    actions.answer.addEventListener('click', () => this.#again());
    elements.hangUp.addEventListener('click', () => {
      this.#call?.hangUp();
      this.#remember(true);
      actions['call-again'].focus();
    });
    elements.leave.addEventListener('click', () => this.#room?.leave());
    elements.copyLink.addEventListener('click', () => void this.#copyLink());
  }

  async #submit(mode: Mode): Promise<void> {
    // The same name typed on two systems may be composed differently, and would be two rooms.
    const room = elements.room.value.trim().normalize('NFC');
    elements.room.value = room;
    const nameProblem = roomProblem(room);
    if (nameProblem) {
      this.#situation = { ...nobody, nameProblem };
      this.#render();
      return elements.room.focus();
    }
    // A token's bearer has one name only, and takes the seat back.
    if (this.#situation.end?.why === 'taken-over' && this.#token === undefined) this.#peer = renew();
    this.#place = this.#camera !== undefined && room === this.#camera.trim().normalize('NFC') ? 1 : undefined;
    await this.#enter(room, this.#place === undefined ? mode : 'view', { quick: false, over: false });
  }

  /** Goes on from one of the camera's rooms to the next, unless there is none. */
  #tryNext(camera: string, place: number): void {
    this.#abandon();
    if (place >= ROOMS_MOST) return this.#giveUp(camera);
    this.#place = place + 1;
    void this.#enter(cameraRoom(camera, this.#place), 'view', { quick: false, over: false });
  }

  /** The camera holds no more rooms, and each is taken. */
  #giveUp(camera: string): void {
    this.#abandon();
    this.#ended({ why: 'full' });
    this.#change({ room: camera, camera });
  }

  /** Leaves a room that is not the right one, without a word to the person. */
  #abandon(): void {
    this.#try += 1;
    const room = this.#room;
    this.#room = undefined;
    this.#call = undefined;
    room?.leave();
  }

  /** Whether the room that was entered is the one to stay in; if not, another is tried. */
  #stays(fellow: Peer | undefined): boolean {
    const camera = this.#camera;
    const place = this.#place;
    if (camera === undefined || place === undefined) return true;
    const choice = choosePlace(place, fellow);
    if (choice === 'next') this.#tryNext(camera, place);
    if (choice === 'give-up') this.#giveUp(camera);
    return choice === 'stay';
  }

  async #enter(room: string, mode: Mode, { quick, over }: { quick: boolean; over: boolean }): Promise<void> {
    const turn = (this.#try += 1);
    this.#mode = mode;
    this.#notice = undefined;
    const camera = this.#place === undefined ? undefined : this.#camera;
    this.#situation = { ...nobody, room, camera, asking: mode !== 'view' };
    this.#render();
    const media = mode === 'view' ? Promise.resolve(undefined) : open(mode === 'camera');
    // It may be refused before it is waited for.
    media.catch(() => {});
    try {
      // A room is not entered while a person is still being asked; where the answer is known, both go at once.
      if (!quick && mode !== 'view' && !(await allowed(mode === 'camera'))) await media;
      const peer = await this.#peer;
      if (turn !== this.#try) return void media.then(release, () => {});
      this.#open(room, peer, over);
      const stream = await media;
      if (turn !== this.#try) return release(stream);
      this.#start(stream);
    } catch (error) {
      if (turn === this.#try) this.#noMedia(error);
    }
  }

  #open(name: string, peer: string, over: boolean): void {
    const url = new URL('/mqtt', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    // What an abandoned room still tells is no news any more.
    const turn = this.#try;
    const mine = () => turn === this.#try;
    const room = new Room({
      url,
      room: name,
      peer,
      info: { kind: this.#mode === 'view' ? 'viewer' : 'browser' },
      timers: this.#timers,
      ...(this.#token !== undefined && { token: this.#token }),
      on: {
        status: (roomStatus) => mine() && this.#change({ roomStatus, ...(roomStatus === 'inside' && { beenInside: true, unanswered: 0 }) }),
        created: ({ peer: fellow, resumed, iceServers }) => {
          if (!resumed && !this.#stays(fellow)) return;
          this.#look(iceServers);
          this.#change({ fellow, ...(!resumed && { left: undefined }) });
        },
        joined: ({ peer: fellow, resumed, iceServers }) => {
          if (!resumed && !this.#stays(fellow)) return;
          this.#look(iceServers);
          this.#change({ fellow, left: undefined });
        },
        arrived: ({ peer: fellow }) => this.#change({ fellow, left: undefined }),
        left: ({ reason }) => this.#change({ left: reason }),
        unanswered: (unanswered) => this.#change({ unanswered }),
        error: ({ code, message }) => {
          // A candidate on its way to somebody who has just left is no news.
          if (code !== 'not-a-member') this.#tell(({ brokerError }) => brokerError(message));
        },
        ended: (end) => {
          if (!mine()) return;
          if (end.why === 'full' && this.#camera !== undefined && this.#place !== undefined) return this.#tryNext(this.#camera, this.#place);
          this.#ended(end);
        },
      },
    });
    this.#room = room;
    this.#call = new Call(room, {
      over,
      ...(this.#relay && { iceTransportPolicy: 'relay' }),
      on: {
        state: (call) => mine() && this.#change({ call }),
        stream: (stream) => mine() && this.#picture.show(stream),
        error: (error) => this.#callError(error),
      },
    });
    this.#remember(over);
    history.replaceState(null, '', this.#address('', this.#relay));
    this.#watching.offer(this.#mode === 'view');
    elements.user.hidden = this.#mode === 'view';
    this.#change({ roomStatus: room.status });
    showView('stage');
  }

  #start(stream: MediaStream | undefined): void {
    this.#own.use(stream);
    this.#call?.start(stream);
    const lacks = this.#lacks(stream);
    this.#notice = lacks && (({ media }) => media[lacks]);
    this.#change({ asking: false });
  }

  #lacks(stream: MediaStream | undefined): 'watching' | 'noMicrophone' | 'audioOnlyChosen' | 'noCamera' | undefined {
    if (!stream) return 'watching';
    if (stream.getAudioTracks().length === 0) return 'noMicrophone';
    if (stream.getVideoTracks().length > 0) return undefined;
    return this.#mode === 'microphone' ? 'audioOnlyChosen' : 'noCamera';
  }

  /** Camera and microphone are refused: no seat is held for one who cannot take part as wished. */
  #noMedia(error: unknown): void {
    const problem = error instanceof MediaError ? error.problem : mediaProblem(error);
    const { room } = this.#situation;
    this.#room?.leave();
    this.#situation = { ...nobody, room, mediaProblem: problem };
    this.#render();
  }

  #ended(end: RoomEnd): void {
    this.#try += 1;
    this.#room = undefined;
    this.#call = undefined;
    this.#own.stop();
    this.#picture.show(undefined);
    note(undefined);
    if (end.why === 'refused' && end.refused === 'login') forgetToken();
    this.#notice = undefined;
    this.#situation = { ...nobody, room: this.#situation.room, end, byLink: this.#token !== undefined };
    showView('start');
    this.#render();
  }

  #again(): void {
    this.#call?.again();
    this.#remember(false);
    elements.hangUp.focus();
  }

  #look(iceServers: RTCIceServer[]): void {
    const urls = iceServers.flatMap((server) => server.urls);
    this.#relayMissing = this.#relay && !urls.some((url) => /^turns?:/i.test(url));
  }

  #remember(over: boolean): void {
    if (this.#room) note({ room: this.#room.name, mode: this.#mode, over });
  }

  async #copyLink(): Promise<void> {
    const link = this.#link();
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      // Pages without TLS may not write to the clipboard: the link is selected, for a person to copy.
      elements.placeholder.hidden = elements.link.hidden = false;
      getSelection()?.selectAllChildren(elements.link);
      return;
    }
    this.#tell(({ copied }) => `${copied}: ${link}`);
    const label = elements.copyLink.querySelector('span');
    if (!label) return;
    write(label, this.#strings.copied);
    setTimeout(() => {
      write(label, this.#strings.copyLink);
      this.#tell(undefined);
    }, COPIED_FOR);
  }

  #link(): string {
    // Which way the other one goes is up to them: one side's relay is enough for both.
    return this.#address(location.origin, false);
  }

  #address(origin: string, relay: boolean): string {
    const { room, camera } = this.#situation;
    return address(origin, { room, camera, view: this.#mode === 'view', relay });
  }

  #callError(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#tell(({ callError }) => callError(message));
  }

  #tell(notice: Notice | undefined): void {
    this.#notice = notice;
    this.#render();
  }

  #change(change: Partial<Situation>): void {
    this.#situation = { ...this.#situation, ...change };
    this.#render();
  }

  #render(): void {
    const strings = this.#strings;
    const now = status(this.#situation, strings);
    showStatus(now);
    const missing = this.#room && this.#relayMissing ? strings.relayMissing : '';
    write(elements.notice, this.#soundBlocked ? strings.media.soundBlocked : missing || (this.#notice?.(strings) ?? ''));
    write(elements.roomName, this.#situation.room);
    document.title = this.#room ? `${this.#situation.room} · Duet` : 'Duet';
    elements.room.ariaInvalid = String(this.#situation.nameProblem !== undefined);
    elements.join.disabled = this.#situation.asking && !this.#room;
    elements.hangUp.disabled = !['negotiating', 'connected', 'interrupted'].includes(this.#situation.call);
    this.#picture.describe(now.state, this.#situation.fellow, this.#link(), strings);
  }
}

function release(stream: MediaStream | undefined): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
