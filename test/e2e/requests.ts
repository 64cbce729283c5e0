import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Target {
  readonly port?: number;
  readonly socketPath?: string;
  readonly path?: string;
  readonly agent?: Agent | false;
}

/** One request, on a connection of its own unless an agent is given. */
export function get(target: number | Target): Promise<Answer> {
  const { path = '/', agent = false, ...where } = typeof target === 'number' ? { port: target } : target;
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', path, agent, ...where }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString('utf8'),
          headers: response.headers,
        }),
      );
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error('no answer within 20 s')));
    sent.on('error', reject);
    sent.end();
  });
}

/** Asks on new connections, several at once, until each of `count` different bodies was seen, or `limit` requests were made. */
export async function differentAnswers(target: number | Target, count: number, limit = 2000): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let asked = 0; asked < limit && seen.size < count; asked += count) {
    const answers = await Promise.all(Array.from({ length: count }, () => get(target)));
    for (const { body } of answers) seen.add(body);
  }
  return seen;
}

export interface LoadReport {
  readonly bodies: readonly string[];
  /** Everything that was not an answer with status 200. */
  readonly failures: readonly string[];
}

export interface Load {
  /** How many answers have come so far. */
  readonly answered: () => number;
  readonly stop: () => Promise<LoadReport>;
}

/** Requests until it is stopped or the test ends, half of the loops on keep-alive connections, half on new ones. */
export function startLoad(t: TestContext, port: number, loops = 6): Load {
  const bodies: string[] = [];
  const failures: string[] = [];
  const ending = new AbortController();
  const agents: Agent[] = [];
  const loop = async (agent: Agent | false): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        const { status, body } = await get({ port, agent });
        if (status === 200) bodies.push(body);
        else failures.push(`status ${status}`);
      } catch (error) {
        const { code = '', message } = error as NodeJS.ErrnoException;
        failures.push(`${agent ? 'keep-alive' : 'new'} connection: ${code} ${message}`);
      }
      // Leaves the machine some room: what counts here is that all are answered, not how many.
      await sleep(3);
    }
  };
  const running = Array.from({ length: loops }, (_, index) => {
    if (index % 2 === 1) return loop(false);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    return loop(agent);
  });
  // A test that fails does not come to its stop().
  t.after(() => ending.abort());
  return {
    answered: () => bodies.length,
    stop: async () => {
      ending.abort();
      await Promise.all(running);
      for (const agent of agents) agent.destroy();
      return { bodies, failures };
    },
  };
}
