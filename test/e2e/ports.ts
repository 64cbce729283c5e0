import { createServer } from 'node:net';

/** Below the range from which the system takes ports for outgoing connections, so that none is taken meanwhile. */
const FIRST = 15_000;
const LAST = 31_999;
const given = new Set<number>();

/** A TCP port on which nobody listens. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port found');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
