// What stands before an engine of others: hands out the page, and passes WebSocket on, as a reverse proxy does.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';

export class Front {
  #server;
  origin = '';

  /**
   * @param {string} source where the page is got from
   * @param {string} engine where the engine speaks MQTT over WebSocket, as `host:port`
   */
  constructor(source, engine) {
    this.#server = createServer(async ({ url }, response) => {
      const { status, headers, body } = await fetch(source + url);
      // fetch has unpacked it.
      const passed = [...headers].filter(([name]) => !['content-encoding', 'content-length', 'connection', 'transfer-encoding'].includes(name));
      response.writeHead(status, Object.fromEntries(passed));
      for await (const part of body ?? []) response.write(part);
      response.end();
    });
    this.#server.on('upgrade', (request, socket, head) => {
      const [host, port] = engine.split(':');
      const behind = connect(Number(port), host);
      const lines = request.rawHeaders.flatMap((name, at, all) => (at % 2 === 0 ? [`${name}: ${all[at + 1]}`] : []));
      behind.write([`GET ${request.url} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
      behind.write(head);
      socket.pipe(behind).pipe(socket);
      socket.on('error', () => behind.destroy());
      behind.on('error', () => socket.destroy());
    });
  }

  /**
   * @param {string} source
   * @param {string} engine
   */
  static async start(source, engine) {
    const front = new Front(source, engine);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    const address = front.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the front has no port');
    front.origin = `http://127.0.0.1:${address.port}`;
    return front;
  }

  async stop() {
    this.#server.closeAllConnections();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
