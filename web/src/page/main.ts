// Starts the page: who this tab is, what the address asks for, and whether a reload has to come back.
import { identity, named, tokenClaims } from '../duet.ts';
import { cameraRoomNumber } from './camera-rooms.ts';
import { type Language, languages, remember, remembered } from './language.ts';
import { Session } from './session.ts';
import { bringsToken, takeToken } from './token.ts';
import { elements, offerLanguages, speak } from './view.ts';
import { parseAddress, recall } from './visit.ts';

// Before anything else: until then it can be read off the address bar.
const taken = takeToken();
const claims = taken && tokenClaims(taken.token);
// Another token for the page that is open already: everything begins anew.
addEventListener('hashchange', () => {
  if (!bringsToken(location.hash)) return;
  takeToken();
  location.reload();
});

const language = remembered();
offerLanguages(language);
speak(language);

// Whether another tab has the name takes a moment to find out; the page can be used meanwhile.
const who = taken && claims?.peer !== undefined ? named(claims.peer, taken) : identity();
const { camera, view, relay, ...address } = parseAddress(location.search);
const room = address.room ?? camera ?? claims?.room;
const session = new Session(who.then(({ peer }) => peer), languages[language], { camera, relay, token: taken?.token });

elements.language.addEventListener('change', () => {
  const chosen = elements.language.value as Language;
  remember(chosen);
  speak(chosen);
  session.speak(languages[chosen]);
});

elements.room.value = room ?? '';
elements.watchOnly.checked = view;

(room === undefined ? elements.room : elements.join).focus();

const visit = recall();
const isThere = (was: string) => (camera === undefined ? room === undefined || room === was : cameraRoomNumber(camera, was) !== undefined);
const comesBack = visit && isThere(visit.room);
if (comesBack && (await who).returned && session.idle) void session.resume(visit);
