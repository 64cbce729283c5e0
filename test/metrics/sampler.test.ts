import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sampler } from '../../src/metrics/sampler.ts';
import type { ProcessStat } from '../../src/supervisor/ports.ts';

/** A sampler of processes that the test sets. */
function sampled() {
  const processes = new Map<number, Partial<ProcessStat>>();
  const sampler = new Sampler((pids) =>
    pids.flatMap((pid) => {
      const stat = processes.get(pid);
      if (!stat) return [];
      return { pid, ppid: 1, group: pid, zombie: false, startTime: 's', cpuMs: 0, rssBytes: 0, ...stat };
    }),
  );
  return { processes, sampler };
}

test('memory is known at once, CPU by the second sample', () => {
  const { processes, sampler } = sampled();
  processes.set(1, { cpuMs: 5000, rssBytes: 100 });
  sampler.sample([1], 10_000);
  assert.deepEqual(sampler.usage(1), { cpuPercent: null, rssBytes: 100 });
  processes.set(1, { cpuMs: 5500, rssBytes: 200 });
  sampler.sample([1], 12_000);
  assert.deepEqual(sampler.usage(1), { cpuPercent: 25, rssBytes: 200 });
});

test('CPU is that of the time between two samples, to a tenth, and may be above 100', () => {
  const { processes, sampler } = sampled();
  const percents = [0, 3000, 3000, 3001].map((cpuMs, index) => {
    processes.set(1, { cpuMs });
    sampler.sample([1], index * 1000);
    return sampler.usage(1)?.cpuPercent;
  });
  assert.deepEqual(percents, [null, 300, 0, 0.1]);
});

test('a sample that comes too soon tells the memory, and keeps the CPU', () => {
  const { processes, sampler } = sampled();
  for (const [cpuMs, rssBytes, at, percent] of [
    [0, 1, 0, null],
    [1000, 2, 1000, 100],
    [1400, 3, 1400, 100],
    [1450, 4, 1499, 100],
    [1500, 5, 2000, 50],
  ] as const) {
    processes.set(1, { cpuMs, rssBytes });
    sampler.sample([1], at);
    assert.deepEqual(sampler.usage(1), { cpuPercent: percent, rssBytes }, `at ${at}`);
  }
});

test('a process that got the pid of another starts anew', () => {
  const { processes, sampler } = sampled();
  processes.set(1, { cpuMs: 9000, startTime: 'a' });
  sampler.sample([1], 0);
  processes.set(1, { cpuMs: 10, startTime: 'b' });
  sampler.sample([1], 1000);
  assert.equal(sampler.usage(1)?.cpuPercent, null);
});

test('CPU is never negative', () => {
  const { processes, sampler } = sampled();
  processes.set(1, { cpuMs: 100 });
  sampler.sample([1], 0);
  processes.set(1, { cpuMs: 90 });
  sampler.sample([1], 1000);
  assert.equal(sampler.usage(1)?.cpuPercent, 0);
});

test('what was not sampled last is forgotten', () => {
  const { processes, sampler } = sampled();
  processes.set(1, { rssBytes: 1 });
  processes.set(2, { rssBytes: 2 });
  sampler.sample([1, 2], 0);
  sampler.sample([2], 1000);
  assert.deepEqual([sampler.usage(1), sampler.usage(2)?.rssBytes], [null, 2]);
  processes.delete(2);
  sampler.sample([2], 2000);
  assert.equal(sampler.usage(2), null);
});
