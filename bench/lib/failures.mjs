import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOPS = 12;
const WARM_REQUESTS = 30;
const AFTER_MS = 500;
const ANSWER_LIMIT_MS = 10_000;

/** Requests, half of them on kept connections, until stopped; each answer is read to its end and checked. */
export const watchFailures = (port, paths, { pauseMs = 0 } = {}) => {
  const stopping = new AbortController();
  let requests = 0;
  let failures = 0;
  let warm = () => {};
  const agents = [];
  const once = (path, agent) =>
    new Promise((resolve) => {
      const failed = () => {
        failures += 1;
        resolve();
      };
      const sent = get({ host: '127.0.0.1', port, path, agent }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          body += chunk;
        });
        response.on('error', failed);
        response.on('end', () => {
          const right = path === '/pid' ? /^\d+$/.test(body) : body === 'hello\n';
          if (response.statusCode === 200 && response.complete && right) resolve();
          else failed();
        });
      });
      sent.setTimeout(ANSWER_LIMIT_MS, () => sent.destroy(new Error('no answer')));
      sent.on('error', failed);
    });
  const loop = async (index) => {
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
    if (agent) agents.push(agent);
    while (!stopping.signal.aborted) {
      await once(paths[index % paths.length], agent);
      requests += 1;
      if (requests === WARM_REQUESTS) warm();
      await sleep(pauseMs === 0 ? 2 : Math.random() * pauseMs);
    }
  };
  const loops = Array.from({ length: LOOPS }, (_, index) => loop(index));
  return {
    /** Until it is under way. */
    warm: () => (requests >= WARM_REQUESTS ? undefined : new Promise((resolve) => (warm = resolve))),
    /** Some time after the change, as what follows from it may come late. */
    stop: async () => {
      if (stopping.signal.aborted) return;
      await sleep(AFTER_MS);
      stopping.abort();
      await Promise.all(loops);
      for (const agent of agents) agent.destroy();
    },
    report: () => ({ requests, failures }),
  };
};
