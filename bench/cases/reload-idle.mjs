import { interleave } from '../lib/interleave.mjs';
import { ask, openConnection } from '../lib/persistent.mjs';
import { withOpen } from '../lib/sides.mjs';

const WORKERS = 4;
const IDLE = 8;
const targets = [{ against: 'pm2', atMost: 1.3 }];

export const about = {
  rounds: 5,
  measures: {
    none: { label: `reload of ${WORKERS} workers, no connection open`, unit: 'ms', targets },
    idle: { label: `the same, ${IDLE} idle keep-alive connections`, unit: 'ms', targets },
    ended: { label: 'how many of those have ended', unit: '', targets: [{ against: 'nothing', atMost: 0 }] },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(
    sides.filter(({ name }) => name !== 'bare'),
    async (opened) => {
      const ports = new Map();
      for (const side of opened) ports.set(side, await side.startCluster(WORKERS));
      return interleave(opened, rounds, async (side) => {
        const none = await side.reload();
        const sockets = [];
        try {
          for (let each = 0; each < IDLE; each += 1) sockets.push(await openConnection(ports.get(side)));
          await Promise.all(sockets.map((socket) => ask(socket, '/pid')));
          for (const socket of sockets) socket.on('error', () => {});
          const idle = await side.reload();
          const after = await Promise.allSettled(sockets.map((socket) => askOrEnd(socket)));
          return { none: none.ms, idle: idle.ms, ended: after.filter(({ status }) => status === 'rejected').length };
        } finally {
          for (const socket of sockets) socket.destroy();
        }
      });
    },
  );

const askOrEnd = (socket) => {
  if (socket.destroyed || socket.readableEnded) return Promise.reject(new Error('it has ended'));
  return Promise.race([
    ask(socket, '/pid'),
    new Promise((_, reject) => socket.once('close', () => reject(new Error('it has ended')))),
  ]);
};
