import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import type { AppRecord } from '../protocol/messages.ts';
import { appRecord } from '../protocol/schema.ts';

const FORMAT = 1;
const SUM_BYTES = 64;
const ASIDE = '.bad-';
const NEWLINE = Buffer.from('\n');

const body = v.object({ format: v.literal(FORMAT), apps: v.array(appRecord) });
const newer = v.object({ format: v.pipe(v.number(), v.minValue(FORMAT + 1)) });

/** The wanted state on disk. Two lines: a SHA-256 of the second, and the state as JSON. */
export function stateText(apps: readonly AppRecord[]): string {
  const text = JSON.stringify({ format: FORMAT, apps });
  return `${checksum(text)}\n${text}\n`;
}

export function checksumOf(text: string): string {
  return text.slice(0, SUM_BYTES);
}

/** Where the generation before is kept. */
export function previousPath(path: string): string {
  return `${path}.1`;
}

/** Where a file that cannot be read is kept when the next save needs its name. */
export function asidePath(path: string, now: Date): string {
  return `${path}${ASIDE}${now.toISOString().replace(/[-:.]/g, '')}`;
}

export interface LoadedState {
  readonly apps: readonly AppRecord[];
  /** Whether these are the apps that were saved last. Else what runs is the better witness. */
  readonly complete: boolean;
  /** What was wrong; null for nothing. */
  readonly problem: string | null;
  /** Files that could not be read, and hold what a save must not destroy. */
  readonly unreadable: readonly string[];
  /** Files that could not be read earlier, and were put aside. */
  readonly aside: readonly string[];
}

/** Reads the newest generation, or else the one before it. It never throws. */
export async function loadState(path: string): Promise<LoadedState> {
  const aside = await filesAside(path);
  const newest = await readGeneration(path);
  if (newest.kind === 'good') return { apps: newest.apps, complete: true, problem: null, unreadable: [], aside };
  const older = await readGeneration(previousPath(path));
  const why = newest.kind === 'missing' ? 'is missing' : newest.why;
  const unreadable = [...(newest.kind === 'bad' ? [path] : []), ...(older.kind === 'bad' ? [previousPath(path)] : [])];
  if (older.kind === 'good') {
    const problem = `${path} ${why}; the generation before it was taken`;
    return { apps: older.apps, complete: false, problem, unreadable, aside };
  }
  const nothing = older.kind === 'bad' ? `the one before it ${older.why}` : 'there is no older one';
  const problem = unreadable.length === 0 ? null : `${path} ${why}; ${nothing}`;
  return { apps: [], complete: false, problem, unreadable, aside };
}

type Generation =
  | { readonly kind: 'good'; readonly apps: readonly AppRecord[] }
  | { readonly kind: 'missing' }
  | { readonly kind: 'bad'; readonly why: string };

async function readGeneration(path: string): Promise<Generation> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'missing' };
    return { kind: 'bad', why: `cannot be read: ${(error as Error).message}` };
  }
  const text = content.subarray(SUM_BYTES + 1, -1);
  const whole = Buffer.concat([Buffer.from(checksum(text)), NEWLINE, text, NEWLINE]);
  if (!content.equals(whole)) return { kind: 'bad', why: 'is damaged: its checksum does not match' };
  const json = v.safeParse(v.pipe(v.string(), v.parseJson()), text.toString('utf8')).output;
  const parsed = v.safeParse(body, json);
  if (parsed.success) return { kind: 'good', apps: parsed.output.apps };
  return { kind: 'bad', why: v.is(newer, json) ? 'was written by a newer upkeep' : 'is of another format' };
}

/** Of every byte: text that is no UTF-8 has more than one way to be read. */
function checksum(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

async function filesAside(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const entries = await readdir(folder).catch(() => []);
  return entries
    .filter((entry) => entry.startsWith(basename(path)) && entry.includes(ASIDE))
    .toSorted()
    .map((entry) => join(folder, entry));
}
