import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Output } from '../../../src/cli/command.ts';
import { type Done, reportOutcomes } from '../../../src/cli/render/outcomes.ts';
import type { InstanceView, Outcome } from '../../../src/protocol/messages.ts';

const ok = (id: number, name = 'api'): Outcome => ({ id, name, ok: true, reason: null, hint: null, stderr: [] });
const failed = (id: number, changes: Partial<Outcome> = {}): Outcome => ({
  ...ok(id),
  ok: false,
  reason: 'exited with code 1',
  hint: 'look at the logs',
  stderr: ['Error: boom'],
  ...changes,
});

const report = (...outcomes: readonly Outcome[]) => reportDone('is started', outcomes);

function reportDone(done: Done, outcomes: readonly Outcome[], views: readonly InstanceView[] = []) {
  const notes: string[] = [];
  const problems: string[] = [];
  const out = {
    note: (text: string) => notes.push(stripVTControlCharacters(text)),
    problem: (text: string) => problems.push(stripVTControlCharacters(text)),
  } as Partial<Output> as Output;
  return { code: reportOutcomes(out, outcomes, done, views), notes, problems };
}

describe('reportOutcomes', () => {
  test('tells of each app that it is done', () => {
    assert.deepEqual(report(ok(0), ok(1), ok(2, 'job')), {
      code: 0,
      notes: ['✓ api is started (2 of 2 instances)', '✓ job is started'],
      problems: [],
    });
  });

  test('tells why it is not, the last lines and the next step', () => {
    assert.deepEqual(report(failed(0)), {
      code: 1,
      notes: [],
      problems: ['✗ api (0): exited with code 1', '    Error: boom', '  next: look at the logs'],
    });
  });

  test('tells once what several have in common', () => {
    const { code, notes, problems } = report(ok(0), failed(1), failed(2), failed(3, { reason: 'killed', hint: null }));
    assert.equal(code, 1);
    assert.deepEqual(notes, ['✓ api is started (1 of 4 instances)']);
    assert.deepEqual(
      problems.filter((line) => line.startsWith('✗')),
      ['✗ api (1, 2): exited with code 1', '✗ api (3): killed'],
    );
  });

  test('tells that one is tried again, unless it is given up by then', () => {
    const outcomes = [failed(0, { again: 'it is tried again' })];
    const next = (state: InstanceView['state']) =>
      reportDone('is started', outcomes, [{ id: 0, state } as InstanceView]).problems.at(-1);
    assert.equal(
      next({ kind: 'backoff', until: 1, reason: 'exited with code 1' }),
      '  next: look at the logs; it is tried again',
    );
    assert.equal(next({ kind: 'errored', reason: '16 runs in a row' }), '  next: look at the logs');
  });

  test('tells with how many instances it was done', () => {
    const done = { app: 'scaled to 1', each: 'ended' };
    assert.deepEqual(reportDone(done, [ok(1), ok(2)]).notes, ['✓ api scaled to 1 (2 ended)']);
    assert.deepEqual(reportDone(done, [ok(1), failed(2)]).notes, ['✓ api scaled to 1 (1 of 2 ended)']);
  });

  test('of nothing has nothing to tell', () => {
    assert.deepEqual(report(), { code: 0, notes: [], problems: [] });
  });
});
