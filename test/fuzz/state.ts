import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from '../../src/daemon/registry.ts';
import { loadState, stateText } from '../../src/daemon/state-file.ts';
import { acquireLock } from '../../src/platform/lock.ts';
import { halved } from '../../src/protocol/doubled.ts';
import { resolveHome } from '../../src/protocol/home.ts';
import { readStatus, writeStatus } from '../../src/protocol/status-file.ts';
import { turn } from '../fakes/ports.ts';
import { corpusOf, scratchFolder, type Target } from './campaign.ts';
import { BoxedDaemon } from './daemon-in-a-box.ts';
import { mutateBytes, mutateJson } from './mutations.ts';
import type { Random } from './random.ts';

/** To take a damaged lock over takes some milliseconds. */
const LOCKS = 0.02;
const NOW = { wall: 1_700_000_000_000, elapsed: 1_000_000 };

export interface StateFiles {
  readonly newest: Buffer;
  readonly older: Buffer;
}

/** What is read back from disk: the state, first of all; and the status file and locks. */
export function stateTarget(): Target<StateFiles> & { readonly end: () => void } {
  const texts = corpusOf('state').map(({ bytes }) => bytes);
  const folder = scratchFolder();
  const path = join(folder, 'state.json');
  const home = resolveHome({ UPKEEP_HOME: folder });
  mkdirSync(home.run);
  const names = async (): Promise<string> => {
    const { apps, problem, complete } = await loadState(path);
    return JSON.stringify([apps, complete, problem !== null]);
  };
  return {
    name: 'state',
    corpus: texts.flatMap((newest) => texts.map((older) => ({ newest, older }))),
    mutate: (random, { newest, older }) => ({
      newest: random.chance(0.4) ? mutateState(random, newest) : mutateBytes(random, newest, texts),
      older: random.chance(0.7) ? older : mutateBytes(random, older, texts),
    }),
    check: async ({ newest, older }, random) => {
      const wholeOlder = isWhole(older) && texts.includes(older);
      writeFileSync(path, older);
      const alone = wholeOlder ? (await loadState(path)).apps : [];
      if (wholeOlder) {
        const { apps } = JSON.parse(older.toString('utf8').slice(65)) as {
          apps: readonly { spec: { name: string } }[];
        };
        assert.deepEqual(
          alone.map(({ spec }) => spec.name),
          apps.map(({ spec }) => spec.name),
        );
      }
      writeFileSync(path, newest);
      writeFileSync(`${path}.1`, older);
      const newer = isWhole(newest);
      const found = await loadState(path);
      if (!newer) assert.equal(found.complete, false, 'what is damaged is not taken');
      if (!newer && wholeOlder) assert.deepEqual(found.apps, alone, 'the one before serves');
      if (!found.complete) assert.ok(found.problem, 'it is told');
      writeFileSync(path, stateText(found.apps));
      const again = await names();
      assert.equal(again, JSON.stringify([found.apps, true, false]), 'what was read can be written and read');
      const box = new BoxedDaemon(new Registry(found.apps));
      await turn();
      await turn();
      box.daemon.views.describe(['all']);
      box.daemon.views.publish();
      box.end();
      checkStatus(newest);
      if (random.chance(LOCKS)) checkLock(newest);
    },
    end: () => rmSync(folder, { recursive: true, force: true }),
  };

  /** No file but its own gives an answer. */
  function checkStatus(bytes: Buffer): void {
    writeFileSync(home.status, bytes);
    assert.equal(readStatus(home, NOW), null);
    const listing = { instances: [], problems: [bytes.toString('latin1')] };
    writeStatus(home, listing, NOW);
    assert.deepEqual(readStatus(home, NOW), process.platform === 'linux' ? listing : null);
    assert.equal(halved(Buffer.concat([bytes, Buffer.from('x'), bytes])), null);
  }

  function checkLock(bytes: Buffer): void {
    const lock = join(home.run, 'daemon.lock');
    rmSync(lock, { force: true });
    writeFileSync(lock, bytes);
    assert.equal(acquireLock(lock), null);
    assert.match(readFileSync(lock, 'utf8'), new RegExp(`"pid":${process.pid}\\b`));
  }
}

function isWhole(bytes: Buffer): boolean {
  const [sum, text = '', ...rest] = bytes.toString('latin1').split('\n');
  const hash = createHash('sha256').update(Buffer.from(text, 'latin1')).digest('hex');
  return sum === hash && rest.length === 1 && rest[0] === '';
}

/** Another state under a checksum that fits, as a bug or another version may write it. */
function mutateState(random: Random, bytes: Buffer): Buffer {
  const body = mutateJson(random, bytes.toString('utf8').slice(65).trimEnd());
  return Buffer.from(`${createHash('sha256').update(body).digest('hex')}\n${body}\n`);
}
