// Everything that the page says, so that no language can lack a sentence.
import type { NameProblem } from '../../duet.ts';

export interface Strings {
  /** The language's own name. */
  itself: string;

  tagline: string;
  lead: string;
  room: string;
  roomPlaceholder: string;
  watchOnly: string;
  join: string;
  language: string;

  yourVideo: string;
  peerVideo: string;
  you: string;
  controls: string;
  mute: string;
  camera: string;
  devices: string;
  sound: string;
  fullScreen: string;
  snapshot: string;
  copyLink: string;
  copied: string;
  hangUp: string;
  leave: string;

  invite: string;
  soundOnly: string;
  onlyWatching: string;
  noPicture: string;
  kept: (file: string) => string;
  noFullScreen: string;

  tryAgain: string;
  callAgain: string;
  answer: string;
  audioOnly: string;
  joinToWatch: string;
  soundOn: string;

  devicesTitle: string;
  cameraDevice: string;
  microphoneDevice: string;
  speakerDevice: string;
  unnamedDevice: (number: number) => string;
  close: string;

  status: {
    idle: string;
    asking: string;
    connecting: string;
    unreachable: string;
    joining: string;
    unanswered: string;
    waiting: string;
    negotiating: (who: string) => string;
    connected: (who: string) => string;
    interrupted: string;
    reconnecting: string;
    reconnectingInCall: string;
    left: string;
    lost: string;
    removed: string;
    over: string;
    ringing: (who: string) => string;
    full: (room: string) => string;
    allTaken: (camera: string) => string;
    takenOver: string;
    refused: (message: string) => string;
    roomRefused: (room: string, message: string) => string;
    linkRefused: string;
    loginRefused: string;
    closedRemoved: string;
    closedRoom: string;
    closedReplaced: string;
    goodbye: string;
  };

  who: { other: string; camera: string };
  /** What devices are, after their names. Those that are not here say it themselves. */
  kinds: Record<string, string>;

  media: {
    denied: string;
    notFound: string;
    inUse: string;
    insecure: string;
    failed: (message: string) => string;
    choices: string;
    noCamera: string;
    noMicrophone: string;
    audioOnlyChosen: string;
    watching: string;
    stopped: string;
    switchFailed: string;
    soundBlocked: string;
  };

  relayMissing: string;
  callError: (message: string) => string;
  brokerError: (message: string) => string;

  name: Record<Exclude<NameProblem['code'], 'too-long' | 'character'>, string> & {
    tooLong: (bytes: number, most: number) => string;
    character: (character: string) => string;
  };
}
