import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const ANSWER_MS = 30_000;

export interface RawAnswer {
  readonly head: string;
  readonly body: string;
}

/** A connection that asks one thing after the other. To it any end is a failure that no answer has told before. */
export class KeptConnection {
  readonly #socket: Socket;
  #text = '';
  #wake: () => void = () => {};
  #failure: Error | null = null;
  /** An answer said that it is the last. */
  isOver = false;

  constructor(target: { readonly port: number } | { readonly path: string }) {
    this.#socket = connect('port' in target ? { ...target, host: '127.0.0.1' } : target);
    this.#socket.setNoDelay(true);
    this.#socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake();
    });
    const end = (error: Error): void => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#socket.on('error', end);
    this.#socket.on('close', () => end(new Error('the connection ended')));
  }

  /** What went wrong while nothing was asked. */
  get failure(): Error | null {
    return this.isOver ? null : this.#failure;
  }

  close(): void {
    this.isOver = true;
    this.#socket.destroy();
  }

  say(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  async ask(path: string): Promise<RawAnswer> {
    this.say(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    return this.answer();
  }

  async pid(): Promise<string> {
    return (await this.ask('/pid')).body;
  }

  /** @param hasBody not so after HEAD. */
  async answer(hasBody = true): Promise<RawAnswer> {
    const head = await this.#until('\r\n\r\n');
    if (head.startsWith('HTTP/1.1 100')) return { head, body: '' };
    if (!head.startsWith('HTTP/1.1 200')) throw new Error(`got ${head.split('\r\n')[0]}`);
    if (/^connection: close/im.test(head)) this.isOver = true;
    if (!hasBody) return { head, body: '' };
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    if (length !== undefined) return { head, body: await this.#bytes(Number(length)) };
    if (!/^transfer-encoding: chunked/im.test(head)) throw new Error('an answer of unknown length');
    let body = '';
    for (;;) {
      const size = Number.parseInt(await this.#until('\r\n'), 16);
      body += await this.#bytes(size);
      await this.#until('\r\n');
      if (size === 0) return { head, body };
    }
  }

  async #until(mark: string): Promise<string> {
    while (!this.#text.includes(mark)) await this.#more();
    const at = this.#text.indexOf(mark);
    const found = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + mark.length);
    return found;
  }

  async #bytes(count: number): Promise<string> {
    while (this.#text.length < count) await this.#more();
    const found = this.#text.slice(0, count);
    this.#text = this.#text.slice(count);
    return found;
  }

  #more(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
      this.#wake = () => {
        clearTimeout(timer);
        if (this.#failure) reject(this.#failure);
        else resolve();
      };
    });
  }
}

type Pause = () => Promise<void>;

/** One thing that a client does, in pieces, with pauses between them; it throws what went wrong. */
type Habit = (connection: KeptConnection, index: number, pause: Pause) => Promise<void>;

const repeated = (path: string, length: number): string =>
  path.repeat(Math.ceil(length / path.length)).slice(0, length);

function check(what: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${what}: got ${got.length} bytes, wanted ${wanted.length}, or others`);
}

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What test/fixtures/load/handler.js answers is what is asked for. */
export const HABITS: Readonly<Record<string, Habit>> = {
  small: async (connection, index) => {
    const path = `/bytes/${index % 3000}`;
    check(path, (await connection.ask(path)).body, repeated(path, index % 3000));
  },
  chunked: async (connection, index) => {
    const path = `/chunks/${2 + (index % 9000)}`;
    check(path, (await connection.ask(path)).body, repeated(path, 2 + (index % 9000)));
  },
  slow: async (connection, index) => {
    const path = `/slow/${20 + (index % 200)}`;
    check(path, (await connection.ask(path)).body, path);
  },
  'a head in pieces': async (connection, index, pause) => {
    for (const piece of [`GET /part/${index}`, ' HTTP/1.1\r\nHo', 'st: localhost\r', '\n\r', '\n']) {
      connection.say(piece);
      await pause();
    }
    check('pieces', (await connection.answer()).body, `/part/${index}`);
  },
  upload: async (connection, index, pause) => {
    const piece = `piece ${index} `.repeat(500);
    connection.say(`POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${piece.length * 3}\r\n\r\n`);
    for (let sent = 0; sent < 3; sent++) {
      await pause();
      connection.say(piece);
    }
    check('upload', (await connection.answer()).body, sha(piece.repeat(3)));
  },
  'chunks with trailers': async (connection, index, pause) => {
    const said = `chunk ${index}`;
    connection.say('POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n');
    await pause();
    connection.say(`${said.length.toString(16)}\r\n${said}\r\n0\r\n`);
    await pause();
    connection.say('x: y\r\n\r\n');
    check('chunks', (await connection.answer()).body, sha(said));
  },
  'two at once': async (connection, index) => {
    const [first, second] = [`/slow/${index % 40}`, `/bytes/${index % 700}`] as const;
    connection.say([first, second].map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
    check(first, (await connection.answer()).body, first);
    if (connection.isOver) throw new Error('it ended before the second answer');
    check(second, (await connection.answer()).body, repeated(second, index % 700));
  },
  HEAD: async (connection) => {
    connection.say('HEAD /bytes/500 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await connection.answer(false);
  },
  '100-continue': async (connection, index, pause) => {
    const said = `continued ${index}`;
    const head = `POST /upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${said.length}`;
    connection.say(`${head}\r\n\r\n`);
    await connection.answer();
    await pause();
    connection.say(said);
    check('100-continue', (await connection.answer()).body, sha(said));
  },
  'HTTP/1.0': async (connection, index) => {
    connection.say(`GET /bytes/${index % 100} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`);
    check('1.0', (await connection.answer()).body, repeated(`/bytes/${index % 100}`, index % 100));
  },
  'a body that nobody reads': async (connection, index, pause) => {
    connection.say(`POST /unread/${index} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc`);
    await pause();
    connection.say('def');
    check('unread', (await connection.answer()).body, `/unread/${index}`);
  },
};
