// The token that a link brings along, in its fragment (`#token=…`): that part of an address is sent to no server and
// stands in no log. It is taken out of the address bar before anything else happens, where it would be read off a
// shared screen or copied along. A reload has to come back in, so it is kept in sessionStorage: for this tab, until it
// is closed or the broker refuses it.

const KEY = 'duet.token';

/** What of the browser is needed; tests bring their own. */
export interface Surroundings {
  location: Pick<Location, 'hash' | 'pathname' | 'search'>;
  history: Pick<History, 'state' | 'replaceState'>;
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
}

export interface Taken {
  token: string;
  /** Whether this tab had it before: a reload. */
  kept: boolean;
}

/** Whether an address brings a token. */
export function bringsToken(hash: string): boolean {
  return new URLSearchParams(hash.slice(1)).has('token');
}

/** Takes the token out of the address, or the one that was kept. An empty one in the address forgets it. */
export function takeToken({ location, history, storage }: Surroundings = browser()): Taken | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get('token');
  if (token === null) {
    const kept = storage.getItem(KEY);
    return kept === null ? undefined : { token: kept, kept: true };
  }
  fragment.delete('token');
  const rest = fragment.size > 0 ? `#${fragment}` : '';
  history.replaceState(history.state, '', location.pathname + location.search + rest);
  if (token === '') {
    storage.removeItem(KEY);
    return undefined;
  }
  const kept = storage.getItem(KEY) === token;
  storage.setItem(KEY, token);
  return { token, kept };
}

/** Forgets a token that is of no use any more. */
export function forgetToken(storage: Pick<Storage, 'removeItem'> = sessionStorage): void {
  storage.removeItem(KEY);
}

function browser(): Surroundings {
  return { location, history, storage: sessionStorage };
}
