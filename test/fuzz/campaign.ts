import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Random } from './random.ts';

/** One kind of input, and what must be true of all of them. */
export interface Target<Input> {
  readonly name: string;
  /** Inputs that are whole, and those that once were a finding. */
  readonly corpus: readonly Input[];
  readonly mutate: (random: Random, input: Input) => Input;
  /** @throws anything for a finding. */
  readonly check: (input: Input, random: Random) => void | Promise<void>;
}

/** An input that takes longer hangs. */
const HANG_MS = 30_000;

const number = (name: string): number | null => {
  const given = process.env[name];
  return given === undefined ? null : Number(given);
};

/** The files of a corpus, by name. Tests run as bundles, so they are found from the root of the repository. */
export function corpusOf(name: string): readonly { readonly file: string; readonly bytes: Buffer }[] {
  const folder = join(process.cwd(), 'test', 'fuzz', 'corpus', name);
  return readdirSync(folder)
    .toSorted()
    .map((file) => ({ file: join(folder, file), bytes: readFileSync(join(folder, file)) }));
}

/** A folder to write inputs to; in memory where there is such a place. The caller removes it. */
export function scratchFolder(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return mkdtempSync(join(tmpdir(), 'uk-fuzz-'));
  // As the temporary folder of this run is called: the end of the run removes both.
  const folder = join(memory, basename(tmpdir()));
  mkdirSync(folder, { recursive: true });
  return mkdtempSync(join(folder, 'uk-fuzz-'));
}

/**
 * Checks the corpus, then mutations of it until the time is over: `UPKEEP_FUZZ_MS`, or else `ms`. `UPKEEP_FUZZ_SEED` and
 * `UPKEEP_FUZZ_AT` repeat one run, or one input; `UPKEEP_FUZZ_ONLY` names one target.
 * @throws Error that tells the seed, the number of the input and the input.
 */
export async function campaign<Input>(target: Target<Input>, ms: number): Promise<void> {
  const { name, corpus, mutate, check } = target;
  if (!name.startsWith(process.env['UPKEEP_FUZZ_ONLY'] ?? '')) return;
  const seed = number('UPKEEP_FUZZ_SEED') ?? 1;
  const only = number('UPKEEP_FUZZ_AT');
  console.log(`${name}: seed ${seed}`);
  let slowest = { ms: 0, what: '' };
  /** What was thrown where nobody catches. */
  const stray: unknown[] = [];
  const note = (error: unknown): void => {
    stray.push(error);
  };
  process.on('uncaughtException', note).on('unhandledRejection', note);
  const watch = watchForHangs(`${name}: seed ${seed}`);
  const attempt = async (make: () => Input, random: Random, what: string, at: number | null): Promise<void> => {
    watch.next();
    const started = performance.now();
    let input: Input | null = null;
    try {
      input = make();
      if (only !== null) console.log(shown(input));
      await check(input, random);
      if (stray.length > 0) throw stray[0];
      const took = performance.now() - started;
      if (took > slowest.ms) slowest = { ms: took, what };
    } catch (cause) {
      const repeat = `npm run fuzz -- --only ${name} --seed ${seed}${at === null ? '' : ` --at ${at}`}`;
      throw new Error(`${what} of ${name} (${repeat}): ${shown(input)}\n${shown(cause)}`, { cause });
    }
  };
  const until = performance.now() + (number('UPKEEP_FUZZ_MS') ?? ms);
  let at = only ?? 0;
  try {
    if (only === null) {
      for (const [index, input] of corpus.entries())
        await attempt(() => input, new Random(seed), `corpus entry ${index}`, null);
    }
    for (; only === null ? performance.now() < until : at === only; at++) {
      const random = new Random(seed, at);
      await attempt(() => mutate(random, random.pick(corpus)), random, `input ${at}`, at);
    }
  } finally {
    process.off('uncaughtException', note).off('unhandledRejection', note);
    await watch.end();
  }
  console.log(`${name}: ${at} inputs; the slowest was ${slowest.what}, ${slowest.ms.toFixed()} ms`);
}

function shown(value: unknown): string {
  const latin = value instanceof Buffer ? value.toString('latin1') : value;
  const text = typeof latin === 'string' ? JSON.stringify(latin) : inspect(value, { depth: 8, maxStringLength: 500 });
  return text.length > 20_000 ? `${text.slice(0, 20_000)}...` : text;
}

/** From another thread, as this one may be in an endless loop, or wait for what nobody does any more. */
function watchForHangs(what: string): { next: () => void; end: () => Promise<number> } {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { workerData: { counter, what, ms } } = require('node:worker_threads');
    const { writeSync } = require('node:fs');
    let [last, since] = [-1, Date.now()];
    setInterval(() => {
      const now = Atomics.load(counter, 0);
      if (now !== last) [last, since] = [now, Date.now()];
      if (Date.now() - since < ms) return;
      writeSync(2, \`\${what}: attempt \${now} takes longer than \${ms} ms\\n\`);
      process.kill(process.pid, 'SIGKILL');
    }, 500);`;
  const worker = new Worker(code, { eval: true, workerData: { counter, what, ms: HANG_MS } });
  return { next: () => Atomics.add(counter, 0, 1), end: () => worker.terminate() };
}
