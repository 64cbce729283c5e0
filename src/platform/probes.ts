import { spawn } from 'node:child_process';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Check, programToRun } from '../domain/app-spec.ts';
import type { Prober, ProbeTarget } from '../supervisor/ports.ts';
import { asUser } from './as-user.ts';

/** Of what a command prints, no more than this is kept: its last line is the reason. */
const OUTPUT_BYTES = 2048;
/** What a command has printed is read within this time of its end; what it has left behind may hold its output open. */
const LAST_OUTPUT_MS = 200;

/** Puts questions to instances from outside. A question without an answer in time is answered by that. */
export const prober: Prober = {
  ask: async (check, target, timeoutMs) => {
    const ending = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
    });
    try {
      const reason = await Promise.race([askOnce(check, target, ending.signal), late]);
      return reason === null ? null : `${nameOf(check)}: ${reason}`;
    } catch (error) {
      return `${nameOf(check)}: ${(error as Error).message}`;
    } finally {
      clearTimeout(timer);
      ending.abort();
    }
  },
};

/** @returns null when it is well, else the reason. */
function askOnce(check: Check, target: ProbeTarget, ending: AbortSignal): Promise<string | null> {
  switch (check.kind) {
    case 'http':
      return askHttp(check, target, ending);
    case 'tcp':
      return withConnection(target, check.port, ending, () => Promise.resolve(null));
    case 'command':
      return askCommand(check.command, target, ending);
  }
}

function nameOf(check: Check): string {
  switch (check.kind) {
    case 'http':
      return `http ${check.path}`;
    case 'tcp':
      return check.port === null ? 'tcp' : `tcp ${check.port}`;
    case 'command':
      return `command ${check.command}`;
  }
}

function askHttp(
  { path, port, tls }: Extract<Check, { kind: 'http' }>,
  target: ProbeTarget,
  ending: AbortSignal,
): Promise<string | null> {
  return withConnection(target, port, ending, (plain) => {
    const socket = tls ? connectTls({ socket: plain, rejectUnauthorized: false }) : plain;
    return new Promise((resolve, reject) => {
      const headers = { Host: 'localhost', 'User-Agent': 'upkeep', Connection: 'close' };
      const sent = request({ path, headers, createConnection: () => socket }, (response) => {
        const { statusCode = 0 } = response;
        response.destroy();
        resolve(statusCode >= 200 && statusCode < 400 ? null : `status ${statusCode}`);
      });
      sent.on('error', reject);
      sent.end();
    });
  });
}

async function withConnection(
  { connect }: ProbeTarget,
  port: number | null,
  ending: AbortSignal,
  ask: (socket: Socket) => Promise<string | null>,
): Promise<string | null> {
  const socket = await connect(port);
  // What goes wrong once the answer is there concerns nobody.
  socket.on('error', () => {});
  ending.addEventListener('abort', () => socket.destroy());
  if (ending.aborted) socket.destroy();
  return ask(socket);
}

function askCommand(command: string, { spec, env }: ProbeTarget, ending: AbortSignal): Promise<string | null> {
  const { cwd } = programToRun(spec);
  const { file, args, ids } = asUser(spec, '/bin/sh', ['-c', command]);
  const child = spawn(file, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own group, so that nothing of it is left.
    detached: true,
    ...ids,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_BYTES);
    });
  }
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nothing of it is left.
    }
  };
  ending.addEventListener('abort', () => {
    if (child.exitCode === null && child.signalCode === null) killGroup();
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.once('exit', (code, signal) => {
      killGroup();
      const answer = (): void => {
        clearTimeout(timer);
        const last = output.trimEnd().split('\n').at(-1) ?? '';
        const how = signal === null ? `code ${code}` : `signal ${signal}`;
        resolve(code === 0 ? null : `${how}${last && `, ${last}`}`);
      };
      const timer = setTimeout(answer, LAST_OUTPUT_MS);
      child.once('close', answer);
    });
  });
}
