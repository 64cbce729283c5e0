import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { Writable } from 'node:stream';
import type { Origin } from './format.ts';
import { LineSplitter } from './line-splitter.ts';
import { Loss } from './loss.ts';

const NEWLINE = 10;
/** What may wait for the other side; what is more is dropped and counted. */
const WAITING_BYTES = 1024 * 1024;
const RECONNECT_MS = 1000;
const JOURNAL = '/run/systemd/journal/stdout';
const SYSLOG_PORT = 514;
/** Of a line; the rest is cut off, as few servers take more. */
const LONGEST_DATAGRAM = 8 * 1024;
/** The facility `daemon`, with the severities `info` and `err`. */
const PRIORITY = { out: 30, err: 27 } as const;
const NAME = { out: 'info', err: 'err' } as const;

/** Where lines go besides files, each stream by a connection of its own. */
export interface Target {
  /** For messages. */
  readonly name: string;
  readonly open: () => Writable;
  /** @param lines whole ones. @returns what is written, each as one message where the other side tells them apart. */
  readonly encode: (lines: Buffer) => readonly Buffer[];
}

export function forwardsOf(origin: Origin, now: () => number = Date.now): readonly Forward[] {
  const { journald, syslog } = origin.spec.logs;
  const targets = [...(journald ? [journal(origin)] : []), ...(syslog === null ? [] : [syslogTarget(origin, syslog)])];
  return targets.map((target) => new Forward(target, now));
}

/** Sends lines on. It never waits: what the other side does not take in time is dropped and counted. */
export class Forward {
  readonly #target: Target;
  readonly #now: () => number;
  readonly #splitter: LineSplitter;
  readonly #loss = new Loss();
  #stream: Writable | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  onLoss: () => void = () => {};

  constructor(target: Target, now: () => number) {
    this.#target = target;
    this.#now = now;
    this.#splitter = new LineSplitter((lines, cut) => this.#send(cut ? Buffer.concat([lines, END]) : lines));
    this.#open();
  }

  get lostLines(): number {
    return this.#loss.lines;
  }

  get losingBecause(): string | null {
    return this.#loss.since === null ? null : `${this.#target.name}: ${this.#loss.reason}`;
  }

  write(bytes: Buffer): void {
    this.#splitter.push(bytes);
  }

  flush(): void {
    this.#splitter.flush();
  }

  note(text: string): void {
    this.#send(Buffer.from(`upkeep: ${text}\n`));
  }

  close(): void {
    this.flush();
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.end();
  }

  #send(lines: Buffer): void {
    const stream = this.#stream;
    if (stream === null || stream.writableLength > WAITING_BYTES) {
      // Not connected: why, is known.
      this.#lose(stream === null ? this.#loss.reason : 'it takes nothing');
      this.#loss.count(lines, 0);
      return;
    }
    if (this.#loss.since !== null) {
      const note = Buffer.from(`upkeep: ${this.#loss.text(this.#now())}\n`);
      this.#loss.end();
      for (const message of this.#target.encode(note)) stream.write(message);
      this.onLoss();
    }
    for (const message of this.#target.encode(lines)) stream.write(message);
  }

  #lose(reason: string): void {
    const begins = this.#loss.since === null;
    this.#loss.begin(reason, this.#now());
    if (begins) this.onLoss();
  }

  #open(): void {
    const stream = this.#target.open();
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => this.#lose(error.code ?? error.message));
    stream.once('close', () => {
      this.#stream = null;
      if (this.#closed) return;
      if (this.#loss.since === null) this.#lose('it has closed the connection');
      this.#timer = setTimeout(() => this.#open(), RECONNECT_MS).unref();
    });
  }
}

const END = Buffer.of(NEWLINE);

/**
 * systemd's journal, by the socket that it gives to services as their stdout. The socket for structured entries takes
 * datagrams, which Node.js cannot send to a path.
 */
export function journal({ spec, id, stream }: Origin, path: string = JOURNAL): Target {
  const severity = PRIORITY[stream] % 8;
  // Identifier, unit, priority, "<N>" at the start of a line is its priority, and three copies that are not wanted.
  const header = `${spec.name}-${id}\n\n${severity}\n1\n0\n0\n0\n`;
  return {
    name: 'journald',
    open: () => {
      // It shuts its own direction down at once.
      const socket = connect({ path, allowHalfOpen: true });
      socket.unref();
      socket.write(header);
      return socket;
    },
    encode: (lines) => [lines],
  };
}

/** @param server `local`, `udp://host:port` or `tcp://host:port`. */
export function syslogTarget(origin: Origin, server: string): Target {
  const { spec, id, stream } = origin;
  if (server === 'local') {
    const args = ['-t', `${spec.name}-${id}`, '-p', `daemon.${NAME[stream]}`];
    return { name: 'syslog', open: () => programInput('logger', args), encode: (lines) => [lines] };
  }
  const url = new URL(server.replace(/^(udp|tcp):/i, 'http:'));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' && !server.endsWith(':80') ? SYSLOG_PORT : Number(url.port || 80);
  const isTcp = /^tcp:/i.test(server);
  return {
    name: 'syslog',
    open: () => (isTcp ? connect({ host, port }).unref() : datagrams(host, port)),
    // Over TCP each message begins with its length (RFC 6587).
    encode: (lines) => {
      const messages = syslogMessages(origin, lines, isTcp ? Infinity : LONGEST_DATAGRAM);
      return isTcp
        ? [Buffer.concat(messages.flatMap((message) => [Buffer.from(`${message.length} `), message]))]
        : messages;
    },
  };
}

/** As RFC 5424 has it; the process id is that of the instance in upkeep's lists. */
function syslogMessages({ spec, id, stream }: Origin, lines: Buffer, longest: number): Buffer[] {
  const name = spec.name.replace(/[^\x21-\x7e]/g, '_').slice(0, 48);
  const head = Buffer.from(
    `<${PRIORITY[stream]}>1 ${new Date().toISOString()} ${hostname()} ${name} ${id} ${stream} - `,
  );
  const messages: Buffer[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf(NEWLINE, at);
    messages.push(Buffer.concat([head, lines.subarray(at, Math.min(end, at + longest))]));
    at = end + 1;
  }
  return messages;
}

function datagrams(host: string, port: number): Writable {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.unref();
  const stream = new Writable({
    write: (message: Buffer, _encoding, done) => socket.send(message, port, host, done),
    destroy: (error, done) => {
      socket.close();
      done(error);
    },
  });
  socket.on('error', (error) => stream.destroy(error));
  return stream;
}

function programInput(command: string, args: readonly string[]): Writable {
  const child = spawn(command, args, {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/bin:/bin:/usr/local/bin' },
  });
  child.unref();
  const { stdin } = child;
  child.on('error', (error) => stdin.destroy(error));
  child.once('exit', () => stdin.destroy());
  return stdin;
}
