// A stand-in for mqtt.js and the broker behind it: writes down what is sent, and says what the test tells it to.
import { EventEmitter } from 'node:events';
import type { IClientOptions } from 'mqtt';
import type { Connect } from '../../src/connection.ts';

type Acknowledge = (error?: Error) => void;

export class FakeClient extends EventEmitter {
  connected = false;
  readonly options: IClientOptions;
  readonly #broker: FakeBroker;
  readonly #pending: Acknowledge[] = [];

  constructor(broker: FakeBroker, options: IClientOptions) {
    super();
    this.#broker = broker;
    this.options = options;
  }

  subscribe(filter: string, _options: unknown, done: (error: Error | null, granted?: { qos: number }[]) => void): void {
    this.#broker.log.push(`subscribe ${filter}`);
    this.#broker.grant = () => done(null, [{ qos: 1 }]);
    this.#broker.refuse = () => done(new Error('Subscribe error: Not authorized'));
    if (this.#broker.grants) done(null, [{ qos: 1 }]);
  }

  publish(topic: string, payload: string, options: { qos: number }, done: Acknowledge): void {
    this.#broker.log.push(`${topic} ${payload}${options.qos === 1 ? '' : ` at ${options.qos}`}`);
    if (this.#broker.acknowledges) done();
    else this.#pending.push(done);
  }

  end(force?: boolean): void {
    if (!force && this.connected) this.#broker.log.push('disconnect');
    this.connected = false;
    for (const done of this.#pending.splice(0)) done(new Error('Connection closed'));
  }

  accept(): void {
    this.connected = true;
    this.emit('connect', {});
  }

  /** The connection breaks; with a code, the broker has said why before. */
  break(reasonCode?: number): void {
    if (reasonCode !== undefined) this.emit('disconnect', { reasonCode });
    this.connected = false;
    this.emit('close');
  }

  deliver(topic: string, message: object | string): void {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    this.emit('message', topic, new TextEncoder().encode(text));
  }
}

export class FakeBroker {
  readonly clients: FakeClient[] = [];
  /** What has been sent, in its order. */
  log: string[] = [];
  grants = true;
  acknowledges = true;
  grant = (): void => {};
  refuse = (): void => {};

  readonly connect: Connect = (_url, options) => {
    const client = new FakeClient(this, options);
    this.clients.push(client);
    return client as never;
  };

  get client(): FakeClient {
    const client = this.clients.at(-1);
    if (!client) throw new Error('nobody has connected');
    return client;
  }

  /** What has been sent since the last call. */
  sent(): string[] {
    return this.log.splice(0);
  }
}
