import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { HABITS, KeptConnection } from './kept-connection.ts';

/** Clients that go on until they are stopped, check every byte of every answer, and forgive nothing. */

export interface Report {
  /** Answers that were right. */
  readonly answers: number;
  readonly failures: readonly string[];
}

export interface Target {
  readonly port: number;
  readonly tls?: boolean;
}

/** One round of a client; it throws what went wrong. */
type Round = (index: number) => Promise<void>;

const ANSWER_MS = 30_000;

/** Runs clients beside each other until `stop`, or the end of the test. */
export class Load {
  readonly #ending = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #failures: string[] = [];
  readonly #closing: (() => void)[] = [];
  #answers = 0;

  constructor(t: TestContext) {
    // One for each loop, and for what each has open.
    setMaxListeners(0, this.#ending.signal);
    t.after(() => this.#ending.abort());
  }

  get answers(): number {
    return this.#answers;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  async stop(): Promise<Report> {
    this.#ending.abort();
    await Promise.all(this.#running);
    for (const close of this.#closing) close();
    return { answers: this.#answers, failures: this.#failures };
  }

  /** Requests on a connection that is kept; `pauseMs` lies between one and the next. */
  keepAlive(target: Target, path: (index: number) => string, pauseMs = 3): this {
    const options = { keepAlive: true, maxSockets: 1 };
    const agent = target.tls ? new HttpsAgent({ ...options, rejectUnauthorized: false }) : new HttpAgent(options);
    this.#closing.push(() => agent.destroy());
    return this.#loop(`keep-alive, pause ${pauseMs}`, pauseMs, (index) => getAndCheck(target, path(index), agent));
  }

  /** Each habit on connections of its own, with pauses of 0 to 30 ms. @param moved counts those that changed their worker. */
  keepsAsking({ port }: Target, moved: { count: number }): this {
    for (const [what, habit] of Object.entries(HABITS)) {
      let kept: KeptConnection | null = null;
      let pid = '';
      this.#closing.push(() => kept?.close());
      const pause = (): Promise<void> => sleep(Math.random() * 30);
      this.#loop(what, 0, async (index) => {
        const connection = kept ?? new KeptConnection({ port });
        try {
          const before = kept ? pid : '';
          kept = connection;
          pid = await connection.pid();
          if (before !== '' && pid !== before) moved.count++;
          await pause();
          if (!connection.isOver) await habit(connection, index, pause);
          await pause();
          if (connection.failure) throw connection.failure;
        } catch (error) {
          connection.close();
          throw error;
        } finally {
          if (connection.isOver) kept = null;
        }
      });
    }
    return this;
  }

  newConnections(target: Target, path: (index: number) => string): this {
    return this.#loop('new connection', 3, (index) => getAndCheck(target, path(index), false));
  }

  uploads(target: Target): this {
    return this.#loop('upload', 3, () => upload(target));
  }

  /** Eight requests at once on one connection, which is kept until an answer says that it ends. */
  pipelines({ port }: Target): this {
    let kept: Pipeline | null = null;
    this.#closing.push(() => kept?.close());
    return this.#loop('pipeline', 5, async (index) => {
      kept ??= new Pipeline(port);
      if (await kept.batch(index)) return;
      kept.close();
      kept = null;
    });
  }

  eventStreams({ port }: Target): this {
    return this.#loop('event stream', 3, () => readEvents(port, this.#ending.signal));
  }

  webSockets({ port }: Target): this {
    return this.#loop('WebSocket', 3, () => useWebSocket(port, this.#ending.signal));
  }

  http2({ port }: Target): this {
    let session: ClientHttp2Session | null = null;
    this.#closing.push(() => session?.destroy());
    const current = (): ClientHttp2Session => {
      if (session && !session.closed && !session.destroyed) return session;
      session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
      session.on('error', (error: Error) => this.#failures.push(`HTTP/2 session: ${error.message}`));
      return session;
    };
    return this.#loop('HTTP/2', 3, async (index) => {
      const paths = [`/bytes/${index % 3000}`, '/slow/50', `/bytes/${(index * 7) % 3000}`];
      await Promise.all(paths.map((path) => askHttp2(current, path)));
    });
  }

  lines({ port }: Target): this {
    return this.#loop('lines', 3, (index) => askLines(port, index));
  }

  #loop(what: string, pauseMs: number, round: Round): this {
    const run = async (): Promise<void> => {
      for (let index = 0; !this.#ending.signal.aborted; index++) {
        try {
          await round(index);
          this.#answers++;
        } catch (error) {
          const { code = '', message } = error as NodeJS.ErrnoException;
          this.#failures.push(`${what}, round ${index}: ${code} ${message}`);
        }
        await sleep(pauseMs, undefined, { signal: this.#ending.signal }).catch(() => {});
      }
    };
    this.#running.push(run());
    return this;
  }
}

/** What test/fixtures/load/handler.js answers. */
function expected(path: string): string {
  const [, route, first = ''] = path.split('/');
  const repeated = (length: number): string => path.repeat(Math.ceil(length / path.length)).slice(0, length);
  if (route === 'bytes' || route === 'chunks') return repeated(Number(first));
  return route === 'download' ? repeated(10_000).repeat(Number(first)) : path;
}

function check(path: string, got: string): void {
  const wanted = expected(path);
  if (got !== wanted) throw new Error(`${path}: got ${got.length} bytes, wanted ${wanted.length}, or others`);
}

async function getAndCheck(target: Target, path: string, agent: HttpAgent | HttpsAgent | false): Promise<void> {
  check(path, await exchange(target, { path, agent }, (sent) => sent.end()));
}

function exchange(
  { port, tls = false }: Target,
  options: RequestOptions,
  send: (request: ReturnType<typeof httpRequest>) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const make = tls ? httpsRequest : httpRequest;
    const where = { host: '127.0.0.1', port, rejectUnauthorized: false };
    const sent = make({ ...where, ...options }, (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (!response.complete) return reject(new Error('the answer was cut'));
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
        resolve(Buffer.concat(chunks).toString());
      });
    });
    sent.setTimeout(ANSWER_MS, () => sent.destroy(new Error(`${options.path}: no answer within ${ANSWER_MS} ms`)));
    sent.on('error', reject);
    send(sent);
  });
}

async function upload(target: Target): Promise<void> {
  const piece = Buffer.alloc(50_000, 'upload ');
  const hash = createHash('sha256');
  const options = { path: '/upload', method: 'POST', agent: false } as const;
  const answer = await exchange(target, options, (sent) => {
    let left = 20;
    const more = (): void => {
      if (left-- === 0) return void sent.end();
      hash.update(piece);
      sent.write(piece);
      setTimeout(more, 30);
    };
    more();
  });
  if (answer !== hash.digest('hex')) throw new Error('the upload did not arrive whole');
}

class Pipeline {
  readonly #socket;
  #text = '';
  #wake: () => void = () => {};
  #error: Error | null = null;
  #ended = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake();
    });
    this.#socket.on('error', (error) => {
      this.#error = error;
      this.#wake();
    });
    this.#socket.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** @returns whether the connection goes on. */
  async batch(index: number): Promise<boolean> {
    const paths = Array.from({ length: 8 }, (_, at) => (at === 3 ? '/slow/20' : `/bytes/${index + at * 100}`));
    this.#socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
    let last = false;
    for (const path of paths) {
      if (last) throw new Error('the connection was ended by an answer before the last');
      const { head, body } = await this.#answer(path);
      check(path, body);
      last = /^connection: close/im.test(head);
    }
    return !last;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #answer(path: string): Promise<{ head: string; body: string }> {
    const { length } = expected(path);
    for (;;) {
      const end = this.#text.indexOf('\r\n\r\n');
      const head = this.#text.slice(0, end);
      // The slow answers are chunked: one chunk, and the last.
      const chunked = /^transfer-encoding: chunked/im.test(head);
      const size = chunked ? length + `${length.toString(16)}\r\n\r\n0\r\n\r\n`.length : length;
      if (end !== -1 && this.#text.length >= end + 4 + size) {
        const body = this.#text.slice(end + 4, end + 4 + size);
        this.#text = this.#text.slice(end + 4 + size);
        return { head, body: chunked ? body.slice(body.indexOf('\r\n') + 2).slice(0, length) : body };
      }
      if (this.#error) throw this.#error;
      if (this.#ended) throw new Error(`${path}: the connection ended before the answer`);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${path}: no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Reads a stream until the server ends it. */
function readEvents(port: number, ending: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path: '/events', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        const events = text.split('\n\n');
        const wrong = events.slice(0, -1).find((event, at) => event !== `id: ${at + 1}\ndata: event ${at + 1}`);
        if (wrong !== undefined || events.at(-1) !== '') reject(new Error(`a stream broke at "${wrong}"`));
        else if (response.complete) resolve();
        else reject(new Error('a stream was cut'));
      });
    });
    const leave = (): void => {
      resolve();
      sent.destroy();
    };
    ending.addEventListener('abort', leave);
    sent.on('close', () => ending.removeEventListener('abort', leave));
    sent.on('error', reject);
    sent.end();
  });
}

/** Talks until the server says that it goes. */
function useWebSocket(port: number, ending: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    let sent = 0;
    const send = (): void => {
      if (socket.readyState === WebSocket.OPEN) socket.send(`message ${++sent}`);
    };
    socket.on('open', send);
    socket.on('message', (data: Buffer) => {
      if (data.toString() !== `echo message ${sent}`) reject(new Error(`a WebSocket got "${data.toString()}"`));
      setTimeout(send, 20);
    });
    socket.on('error', reject);
    const leave = (): void => socket.terminate();
    ending.addEventListener('abort', leave);
    socket.on('close', (code) => {
      ending.removeEventListener('abort', leave);
      if (code === 1001 || ending.aborted) resolve();
      else reject(new Error(`a WebSocket was closed with code ${code}`));
    });
  });
}

/**
 * Node's client itself refuses what it has queued and not sent when word comes that the session ends: such a request was
 * never asked, and is to be asked again on another session (RFC 9113, 8.7).
 */
async function askHttp2(current: () => ClientHttp2Session, path: string): Promise<void> {
  try {
    await getHttp2(current(), path);
  } catch (error) {
    if (!/NGHTTP2_REFUSED_STREAM/.test(String(error))) throw error;
    await getHttp2(current(), path);
  }
}

function getHttp2(session: ClientHttp2Session, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path });
    let body = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    stream.on('error', reject);
    stream.on('end', () => {
      try {
        check(path, body);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

function askLines(port: number, index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let left = 5;
    let text = '';
    const ask = (): void => {
      socket.write(`line ${index}.${left}\n`);
    };
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no line within ${ANSWER_MS} ms`)));
    socket.on('connect', ask);
    socket.on('error', reject);
    socket.on('end', () => reject(new Error('the server ended the connection')));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      if (text !== `LINE ${index}.${left}\n`) reject(new Error(`got "${text}"`));
      text = '';
      if (--left > 0) return ask();
      socket.removeAllListeners('end').end();
      resolve();
    });
  });
}
