import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import * as v from 'valibot';
import { UpkeepError } from '../../src/protocol/errors.ts';
import { FrameReader } from '../../src/protocol/framing.ts';
import { Peer } from '../../src/protocol/peer.ts';
import { appRecord, validate } from '../../src/protocol/schema.ts';
import { turn } from '../fakes/ports.ts';
import { corpusOf, type Target } from './campaign.ts';
import { BoxedDaemon } from './daemon-in-a-box.ts';
import { mutateBytes, mutateJson } from './mutations.ts';
import type { Random } from './random.ts';

/** A daemon gets that many inputs before the next one comes. */
const INPUTS_OF_ONE = 50;

/** What a client sends on one connection: any bytes. */
export function framesTarget(): Target<Buffer> & { readonly end: () => void } {
  const corpus = corpusOf('frames').map(({ bytes }) => bytes);
  let box = new BoxedDaemon();
  let inputs = 0;
  return {
    name: 'frames',
    corpus,
    mutate: (random, input) => (random.chance(0.4) ? mutateBytes(random, input, corpus) : mutateFrames(random, input)),
    check: async (input, random) => {
      const chunks = cut(random, input);
      assert.equal(readAll(chunks), readAll([input]), 'however it is cut');
      if (++inputs % INPUTS_OF_ONE === 0) {
        box.end();
        box = new BoxedDaemon();
      }
      const said = await talk(box, chunks);
      for (const answer of said) refuseInternal(answer);
      validate(v.array(appRecord), JSON.parse(JSON.stringify(box.registry.apps)), 'what is saved can be read');
      const ids = box.daemon.views.list().map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, 'each id is there once');
      const [, pong] = await talk(box, [Buffer.from('{"id":1,"method":"ping"}\n')]);
      assert.ok(pong?.['result'], 'the daemon still answers');
      await hearAsClient(chunks);
    },
    end: () => box.end(),
  };
}

/** One frame is changed, and stays a frame. */
function mutateFrames(random: Random, input: Buffer): Buffer {
  const lines = input.toString('utf8').split('\n').slice(0, -1);
  const at = random.below(lines.length);
  lines[at] = mutateJson(random, lines[at] ?? '');
  return Buffer.from(`${lines.join('\n')}\n`);
}

function cut(random: Random, bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.below(random.chance(0.5) ? 16 : bytes.length);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function readAll(chunks: readonly Buffer[]): string {
  const reader = new FrameReader(100_000);
  const frames: unknown[] = [];
  try {
    for (const chunk of chunks) frames.push(...reader.push(chunk));
  } catch (error) {
    assert.ok(error instanceof UpkeepError && error.code === 'PROTOCOL_MALFORMED', String(error));
    return error.code;
  }
  return JSON.stringify(frames);
}

/** @returns the frames that came back by the time that nothing happens any more. */
async function talk(box: BoxedDaemon, chunks: readonly Buffer[]): Promise<Record<string, unknown>[]> {
  const socket = box.connect();
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  socket.on('error', () => {});
  for (const chunk of chunks) socket.write(chunk);
  for (let turns = 0; turns < 8; turns++) await turn();
  socket.destroy();
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The other way round: what a client makes of it, that has asked something. */
async function hearAsClient(chunks: readonly Buffer[]): Promise<void> {
  const [near, far] = duplexPair() as unknown as [Socket, Socket];
  Object.assign(near, { destroySoon: () => near.destroy() });
  const peer = new Peer(near, { onHello: () => {}, onEvent: () => {} });
  const answers = [1, 2, 3].map(() => peer.request('list', {}, 0).catch((error: unknown) => error));
  for (const chunk of chunks) far.write(chunk);
  far.end();
  far.resume();
  for (let turns = 0; turns < 4; turns++) await turn();
  near.destroy();
  for (const answer of await Promise.all(answers)) {
    if (answer instanceof Error && !(answer instanceof UpkeepError)) throw answer;
  }
}

function refuseInternal(answer: Record<string, unknown>): void {
  const error = answer['error'] as { code: string; message: string } | undefined;
  assert.notEqual(error?.code, 'INTERNAL', error?.message);
  const outcomes = Array.isArray(answer['result']) ? (answer['result'] as { reason?: string }[]) : [];
  for (const outcome of outcomes) {
    assert.doesNotMatch(outcome?.reason ?? '', /is not a function|undefined|Cannot read|is not iterable/);
  }
}
