import { START_DEADLINE_MS } from '../domain/app-spec.ts';
import { portsOf } from './port-owner.ts';

const LOOK_MS = 100;

/** Looks from outside where a process listens, until it does. @returns what ends that. */
export function firstPorts(pid: number, found: (ports: readonly number[]) => void): () => void {
  let looks = START_DEADLINE_MS / LOOK_MS;
  const timer = setInterval(() => {
    const ports = portsOf(pid);
    if (ports.length > 0) found(ports);
    if (ports.length > 0 || --looks === 0) clearInterval(timer);
  }, LOOK_MS);
  return () => clearInterval(timer);
}
