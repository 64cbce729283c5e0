import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { portsOf } from './port-owner.ts';
import { readProcess } from './process-table.ts';

const LOOK_MS = 20;
const INSPECTOR_MS = 1500;

interface Frame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber: number };
}

type Message =
  | { readonly method: 'Debugger.paused'; readonly params: { readonly callFrames: readonly Frame[] } }
  | { readonly method: 'Debugger.scriptParsed'; readonly params: { readonly scriptId: string; readonly url: string } }
  /** An answer, or an event that says nothing here. */
  | { readonly method?: undefined };

/**
 * The stack of a Node.js process whose event loop stands still, the innermost frame first, as `work (/srv/app.js:3:5)`.
 * SIGUSR1 makes Node open its inspector, in a thread of its own; a loop in JavaScript then stops for a moment.
 * @param startTime tells it from a later process with its pid.
 * @throws Error when the app handles SIGUSR1 itself, stands in native code, or /proc does not tell its port.
 */
export async function blockedStack(pid: number, startTime: string): Promise<readonly string[]> {
  const before = new Set(portsOf(pid));
  // It would end a program that is not Node.js.
  if (readProcess(pid)?.startTime !== startTime) throw new Error('it has ended');
  process.kill(pid, 'SIGUSR1');
  const port = await inspectorPort(pid, before);
  const socket = new WebSocket(await debuggerUrl(port));
  const urls = new Map<string, string>();
  try {
    const frames = await new Promise<readonly Frame[]>((resolve, reject) => {
      const fail = (): void => reject(new Error('its inspector did not answer'));
      socket.on('error', fail);
      socket.on('close', fail);
      socket.on('open', () => {
        for (const [id, method] of ['Debugger.enable', 'Debugger.pause'].entries()) {
          socket.send(JSON.stringify({ id, method }));
        }
      });
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as Message;
        if (message.method === 'Debugger.paused') resolve(message.params.callFrames);
        if (message.method === 'Debugger.scriptParsed') urls.set(message.params.scriptId, message.params.url);
      });
    });
    socket.send(JSON.stringify({ id: 2, method: 'Debugger.resume' }));
    return frames.map((frame) => describeFrame(frame, urls.get(frame.location.scriptId) ?? ''));
  } finally {
    socket.close();
  }
}

async function inspectorPort(pid: number, before: ReadonlySet<number>): Promise<number> {
  const until = performance.now() + INSPECTOR_MS;
  while (performance.now() < until) {
    const port = portsOf(pid).find((each) => !before.has(each));
    if (port !== undefined) return port;
    await sleep(LOOK_MS);
  }
  throw new Error('it opened no inspector');
}

function debuggerUrl(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/json/list' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const [target] = JSON.parse(text) as { readonly webSocketDebuggerUrl: string }[];
        if (target) resolve(target.webSocketDebuggerUrl);
        else reject(new Error('its inspector has no target'));
      });
    });
    request.on('error', reject);
  });
}

function describeFrame({ functionName, location }: Frame, url: string): string {
  const where = `${url.replace(/^file:\/\//, '')}:${location.lineNumber + 1}:${location.columnNumber + 1}`;
  return functionName === '' ? where : `${functionName} (${where})`;
}
