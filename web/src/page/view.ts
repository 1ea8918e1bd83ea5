// The page's elements: finds them, writes what is to be seen, and nothing else.
import { type Language, languages } from './language.ts';
import type { Action, Status } from './status.ts';
import type { Strings } from './strings/strings.ts';

function element<Type extends Element>(selector: string, type: new () => Type): Type {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`index.html has no ${selector}`);
  return found;
}

const button = (selector: string) => element(selector, HTMLButtonElement);
const block = (selector: string) => element(selector, HTMLElement);
const select = (selector: string) => element(selector, HTMLSelectElement);
const video = (selector: string) => element(selector, HTMLVideoElement);

export const elements = {
  form: element('#join-form', HTMLFormElement),
  room: element('#room', HTMLInputElement),
  watchOnly: element('#watch-only', HTMLInputElement),
  join: button('#join'),
  language: select('#language'),
  start: block('#start'),
  stage: block('#stage'),
  roomName: block('#room-name'),
  peer: block('.peer'),
  peerVideo: video('#peer-video'),
  userVideo: video('#user-video'),
  user: block('.user'),
  peerName: block('#peer-name'),
  placeholder: block('#placeholder'),
  placeholderText: block('#placeholder-text'),
  link: block('#link'),
  status: block('#status'),
  notice: block('#notice'),
  controls: block('#controls'),
  mute: button('#mute'),
  camera: button('#camera'),
  devices: button('#devices'),
  sound: button('#sound'),
  fullScreen: button('#full-screen'),
  snapshot: button('#snapshot'),
  copyLink: button('#copy-link'),
  hangUp: button('#hangup'),
  leave: button('#leave'),
  soundOn: button('#sound-on'),
  deviceDialog: element('#device-dialog', HTMLDialogElement),
  cameraDevice: select('#camera-device'),
  microphoneDevice: select('#microphone-device'),
  speakerDevice: select('#speaker-device'),
};

export const actions: Record<Action, HTMLButtonElement> = {
  'try-again': button('#try-again'),
  'call-again': button('#call-again'),
  answer: button('#answer'),
  'audio-only': button('#join-audio'),
  'watch-only': button('#join-view'),
};

/** Writes a text only when it is another one, so that a screen reader does not say it again. */
export function write(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function speak(language: Language): void {
  const strings = languages[language];
  document.documentElement.lang = language;
  const plain = (key: string | undefined) => String(strings[key as keyof Strings]);
  for (const target of document.querySelectorAll<HTMLElement>('[data-text]')) write(target, plain(target.dataset['text']));
  for (const target of document.querySelectorAll<HTMLElement>('[data-label]')) target.setAttribute('aria-label', plain(target.dataset['label']));
  for (const target of document.querySelectorAll<HTMLInputElement>('[data-placeholder]')) target.placeholder = plain(target.dataset['placeholder']);
}

export function offerLanguages(present: Language): void {
  const options = Object.entries(languages).map(([tag, { itself }]) => new Option(itself, tag, tag === present, tag === present));
  elements.language.replaceChildren(...options);
}

export function showStatus(status: Status): void {
  const { dataset } = elements.status;
  dataset['state'] = status.state;
  dataset['tone'] = status.tone;
  write(elements.status, status.text);
  for (const [action, target] of Object.entries(actions)) target.hidden = !status.actions.includes(action as Action);
}

/** The start page or the room; the focus goes along. */
export function showView(view: 'start' | 'stage'): void {
  const { body } = document;
  if (body.dataset['view'] === view) return;
  body.dataset['view'] = view;
  elements.start.hidden = view !== 'start';
  elements.stage.hidden = elements.controls.hidden = elements.roomName.hidden = view !== 'stage';
  if (view === 'start') elements.room.focus();
  else elements.mute.focus({ preventScroll: true });
}
