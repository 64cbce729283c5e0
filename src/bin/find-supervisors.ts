import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectPeer } from '../client/connect.ts';
import type { DaemonPorts } from '../daemon/ports.ts';
import { sendSignal } from '../platform/send-signal.ts';
import { type Home, supervisorLedger, supervisorSocket } from '../protocol/home.ts';
import { readMarks } from '../protocol/marks.ts';

/** A process that is asked to look for its files has made them again within this time. */
export const MADE_AGAIN_MS = 3000;
const AGAIN_MS = 50;

/** How a daemon finds the supervisors of its home, and what they have left: also where the files of it are gone. */
export function findSupervisors(home: Home): Pick<DaemonPorts, 'supervisorKeys' | 'hasLeft' | 'connect'> {
  return {
    supervisorKeys: () => {
      const { left, supervisors, piped } = readMarks(home);
      return [...new Set([...left, ...supervisors.keys(), ...piped])];
    },
    hasLeft: (key) => {
      if (existsSync(supervisorLedger(home, key))) return true;
      const { supervisors, piped } = readMarks(home);
      return supervisors.has(key) || piped.has(key);
    },
    connect: async (key, handlers) => {
      const path = supervisorSocket(home, key);
      for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
        try {
          return await connectPeer(path, handlers);
        } catch (error) {
          const pid = readMarks(home).supervisors.get(key);
          if (pid === undefined || waitedMs >= MADE_AGAIN_MS) throw error;
          // It lives: it makes its socket again, if that is gone.
          if (waitedMs === 0) sendSignal(pid, 'SIGUSR2');
          await sleep(AGAIN_MS);
        }
      }
    },
  };
}
