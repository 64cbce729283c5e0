import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Shortage, USERS_SILENT } from '../domain/shortage.ts';

const run = promisify(execFile);

/** What answers later than that, as a directory server over the network, does not answer. */
const ANSWER_MS = 5000;
/** For so long the system is not asked again. */
const FRESH_MS = 5 * 60_000;
const PATH = '/usr/bin:/bin:/usr/sbin:/sbin';

interface Answer {
  /** None for a number that is no user of the system. */
  readonly groups: readonly number[];
  /** By a clock that nobody sets. */
  readonly at: number;
}

const known = new Map<number, Answer>();
const asked = new Map<number, Promise<void>>();

/** All groups of a user, as far as they were learnt. */
export function groupsOf(uid: number): readonly number[] {
  return known.get(uid)?.groups ?? [];
}

/**
 * Asks the system for the groups of a user, which nobody else has to wait for. Where it does not answer, what it said
 * before holds.
 * @returns null where they are known. Rejects with a Shortage: an app without some of its groups would be a wrong one.
 */
export function learnGroups(uid: number): Promise<void> | null {
  const answer = known.get(uid);
  if (answer && performance.now() - answer.at < FRESH_MS) return null;
  const running = asked.get(uid);
  if (running) return running;
  const asking = ask(uid)
    .then(
      (groups) => void known.set(uid, { groups, at: performance.now() }),
      (error: Error) => {
        if (!answer) throw error;
        console.error(`${error.message}: user ${uid} has the groups that it had before`);
      },
    )
    .finally(() => asked.delete(uid));
  asked.set(uid, asking);
  return asking;
}

async function ask(uid: number): Promise<readonly number[]> {
  const entry = (await answerOf('getent', ['passwd', String(uid)])) ?? fileEntry(uid);
  const [name = ''] = entry.split(':');
  if (name === '') return [];
  const groups = await answerOf('id', ['-G', '--', name]);
  if (groups === null) throw new Shortage(`${USERS_SILENT} (there is no program \`id\`)`);
  return groups.trim().split(/\s+/).map(Number);
}

/** @returns '' where it says that there is none; null where there is no such program. */
async function answerOf(program: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await run(program, args, { env: { PATH }, timeout: ANSWER_MS, killSignal: 'SIGKILL' });
    return stdout;
  } catch (error) {
    const { code } = error as { code?: number | string | null };
    if (code === 'ENOENT') return null;
    if (program === 'getent' && code === 2) return '';
    throw new Shortage(`${USERS_SILENT} (${[program, ...args].join(' ')}: ${code ?? `${ANSWER_MS} ms`})`, {
      cause: error,
    });
  }
}

function fileEntry(uid: number): string {
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n');
  return entries.find((entry) => entry.split(':')[2] === String(uid)) ?? '';
}
