import type { Strings } from './strings.ts';

/** At the beginning of a sentence. */
function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const en: Strings = {
  itself: 'English',

  tagline: 'Two people, one room.',
  lead: 'Pick a room name and tell it to one other person. Picture and sound go straight from you to them.',
  room: 'Room name',
  roomPlaceholder: 'e.g. lobby',
  watchOnly: 'Only watch, camera and mic off',
  join: 'Join',
  language: 'Language',

  yourVideo: 'Your picture',
  peerVideo: 'Picture of the other one',
  you: 'You',
  controls: 'Call controls',
  mute: 'Mute',
  camera: 'Camera off',
  devices: 'Devices',
  copyLink: 'Copy link',
  copied: 'Copied',
  hangUp: 'Hang up',
  leave: 'Leave',

  invite: 'Send this link to the one you want to talk to',
  soundOnly: 'Sound only',
  onlyWatching: 'The other one is only watching',
  noPicture: 'No picture yet',

  tryAgain: 'Try again',
  callAgain: 'Call again',
  answer: 'Answer',
  audioOnly: 'Join with microphone only',
  joinToWatch: 'Join to watch only',
  soundOn: 'Turn sound on',

  devicesTitle: 'Devices',
  cameraDevice: 'Camera',
  microphoneDevice: 'Microphone',
  speakerDevice: 'Speakers',
  unnamedDevice: (number) => `Device ${number}`,
  close: 'Done',

  status: {
    idle: 'Ready when you are.',
    asking: 'Please allow the use of your camera and microphone.',
    connecting: 'Connecting to the broker…',
    unreachable: 'The broker cannot be reached. Trying again…',
    joining: 'Entering the room…',
    unanswered: 'The broker is there, but nobody gives out seats. Asking again…',
    waiting: 'Waiting for the other one.',
    negotiating: (who) => `${capital(who)} is here. Setting up the call…`,
    connected: (who) => `Connected with ${who}.`,
    interrupted: 'The call was interrupted. Bringing it back…',
    reconnecting: 'The broker is lost. Reconnecting…',
    reconnectingInCall: 'The call goes on, but the broker is lost. Reconnecting…',
    left: 'The other one has left. Waiting for somebody to come.',
    lost: 'The connection of the other one is lost. Waiting for them to come back.',
    removed: 'The other one was removed by an operator. Waiting for somebody to come.',
    over: 'The call is over. You are both still in the room.',
    ringing: (who) => `${capital(who)} would like to talk again.`,
    full: (room) => `The room “${room}” is full: two are inside already.`,
    takenOver: 'Another tab has taken this seat over.',
    refused: (message) => `The broker does not let this page in: ${message}`,
    linkRefused: 'This link does not let you in: it has expired, or is not for this. Ask for a new one.',
    loginRefused: 'The broker lets nobody in here without an invitation. Ask for a link.',
    closedRemoved: 'An operator has removed you from the room.',
    closedRoom: 'An operator has closed the room.',
    closedReplaced: 'You were away too long, and somebody else has taken your seat.',
    goodbye: 'You have left the room.',
  },

  who: { other: 'the other one', camera: 'the camera' },

  media: {
    denied: 'The browser was told not to give this page the camera and the microphone. Allow them beside the address bar and try again.',
    notFound: 'No camera and no microphone were found.',
    inUse: 'The camera or the microphone cannot be opened. Another program may be using it.',
    insecure: 'Browsers give camera and microphone only to pages over https:// or on localhost.',
    failed: (message) => `Camera and microphone cannot be opened: ${message}`,
    choices: 'You can also join without.',
    noCamera: 'No camera found: the other one only hears you.',
    noMicrophone: 'No microphone found: the other one only sees you.',
    audioOnlyChosen: 'Your camera stays off: the other one only hears you.',
    watching: 'You are only watching: nobody sees or hears you.',
    stopped: 'A device has stopped. Choose another one under Devices.',
    switchFailed: 'This device cannot be opened. The one before stays in use.',
    soundBlocked: 'The browser keeps the sound off until you press the button.',
  },

  relayMissing: 'This page is to use a relay, but the broker names none: no call can be made. Configure one, or take &relay out of the address.',
  callError: (message) => `Trouble with the call: ${message}`,
  brokerError: (message) => `The broker says: ${message}`,

  name: {
    empty: 'A room needs a name, for example “lobby”.',
    dollar: 'A room name must not begin with $. Begin with a letter or a digit.',
    'outer-space': 'A room name must not begin or end with a space.',
    reserved: 'This name is reserved. Choose another one.',
    tooLong: (bytes, most) => `The room name is too long: ${bytes} bytes, and ${most} is the most. Use a shorter one.`,
    character: (character) => `A room name must not contain ${character}. Letters, digits, spaces, - and _ are fine in any language.`,
  },
};
