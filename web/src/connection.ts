// One MQTT connection, from CONNECT to its end. It never comes back by itself: after it is closed a new one
// is made, so that nothing queued in an old one can be sent before the new one's subscription is granted.
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';

/** Seconds. Short, so that a peer which vanished does not hold its seat for long. */
const KEEP_ALIVE = 20;
const CONNECT_TIMEOUT = 10_000;

/** MQTT 5 reason codes (MQTT 5.0, 2.4) that no new attempt would change. */
const SESSION_TAKEN_OVER = 0x8e;
/** Also the codes of MQTT 3.1.1 (3.2.2.3), for a broker that answers in its own version. */
const BAD_CREDENTIALS = [0x86, 0x87, 0x8a, 4, 5];
/** With these a broker ends a connection whose token has expired, or that may not go on. */
const NO_LONGER_ALLOWED = [0x87, 0xa0];
const BAD_IDENTIFIER = 0x85;

/** Why a connection is over. */
export type ConnectionEnd =
  /** The network or the broker went away; `said` if the broker announced it. */
  | { why: 'lost'; said: boolean }
  /** Another connection with the same peer id took its place. */
  | { why: 'taken-over' }
  /** The broker refused the login, the peer id or the subscription. */
  | { why: 'refused'; refused: Refused; message: string };

/** What was refused: `login` is who this says it is, or no longer may be. */
export type Refused = 'login' | 'name' | 'subscription';

/** Repeating timers, as `setInterval` makes them; a page may give some that go on at full speed while it is hidden. */
export interface Timers {
  set(callback: () => void, milliseconds: number): number;
  clear(timer: number): void;
}

export interface ConnectionOptions {
  url: string;
  /** The MQTT client identifier, which is the peer id. */
  clientId: string;
  username?: string | undefined;
  password?: string | undefined;
  timers?: Timers | undefined;
  /** The subscription that must be granted before anything is sent. */
  inbox: string;
  onReady(): void;
  onMessage(topic: string, payload: Uint8Array): void;
  onEnd(end: ConnectionEnd): void;
}

/** What makes an MQTT client: `mqtt.connect`, or a stand-in in a test. */
export type Connect = (url: string, options: IClientOptions) => MqttClient;

export class Connection {
  readonly #client: MqttClient;
  #over = false;

  constructor(options: ConnectionOptions, connect: Connect = mqtt.connect) {
    const settings: IClientOptions = {
      protocolVersion: 5,
      clientId: options.clientId,
      clean: true,
      keepalive: KEEP_ALIVE,
      connectTimeout: CONNECT_TIMEOUT,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      // mqtt.js would make a worker from a blob, which the page's Content-Security-Policy forbids.
      timerVariant: options.timers ?? 'native',
    };
    if (options.username !== undefined) settings.username = options.username;
    if (options.password !== undefined) settings.password = options.password;
    const client = connect(options.url, settings);
    this.#client = client;

    let said = false;
    const over = (end: ConnectionEnd) => {
      if (this.#over) return;
      this.#over = true;
      client.end(true);
      options.onEnd(end);
    };
    client.on('connect', () => {
      client.subscribe(options.inbox, { qos: 1 }, (error, granted) => {
        if (this.#over) return;
        const refused = error ?? granted?.find((grant) => grant.qos >= 0x80);
        if (!refused) return options.onReady();
        if (client.connected) over({ why: 'refused', refused: 'subscription', message: error?.message ?? `the broker refused the subscription to ${options.inbox}` });
      });
    });
    client.on('message', (topic, payload) => {
      if (!this.#over) options.onMessage(topic, payload);
    });
    client.on('disconnect', (packet) => {
      said = true;
      const code = packet.reasonCode ?? 0;
      if (code === SESSION_TAKEN_OVER) over({ why: 'taken-over' });
      if (NO_LONGER_ALLOWED.includes(code)) over({ why: 'refused', refused: 'login', message: 'the login has expired' });
    });
    client.on('error', (error) => {
      const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
      const refused = code === undefined ? undefined : BAD_CREDENTIALS.includes(code) ? 'login' : code === BAD_IDENTIFIER ? 'name' : undefined;
      if (refused) over({ why: 'refused', refused, message: error.message });
    });
    client.on('close', () => over({ why: 'lost', said }));
  }

  /** Sends at QoS 1; done when the broker has acknowledged it, refused when it has not. */
  publish(topic: string, payload: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(new Error('the connection is over'));
      this.#client.publish(topic, payload, { qos: 1 }, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Says DISCONNECT, which frees the seat at once. `onEnd` is not called. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#client.end();
  }

  /** Cuts the connection without a word, as when it is known to be dead; `onEnd` is called. */
  drop(): void {
    this.#client.end(true);
  }
}
