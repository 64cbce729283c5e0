import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const linux = process.platform === 'linux' ? {} : { skip: 'there is no /proc' };
const ours = (body: object) => JSON.stringify({ cmd: 'NODE_UPKEEP', body });
const query = { address: '127.0.0.1', port: 0, addressType: 4, flags: 0, backlog: 1, index: 0 };

/** What is answered each time that it is said. */
const SAID = {
  'what Node’s cluster module refuses': '{"cmd":"NODE_CLUSTER","act":"x","seq":1}',
  'a handle that is not there': '{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_UPKEEP","body":{}}}',
  'that it listens no more': ours({ kind: 'stopped-listening' }),
  'a socket, please': ours({ kind: 'open-socket', request: 1, ...query }),
  'a socket that there is not': ours({ kind: 'open-socket', request: 1, ...query, flags: 9 }),
};

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '1']],
] as const) {
  test(`${mode} mode: an app that says things without end, and reads nothing, fills no memory`, linux, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('http-hello.js'), '--name', 'good');
    for (const [what, message] of Object.entries(SAID)) {
      const name = what.replaceAll(' ', '-');
      const start = ['start', fixture('floods-channel.js'), '--name', name, ...flags];
      await box.run([...start, '--listen-timeout', '100', '--kill-timeout', '100', '--', message]);
      const [row] = await until(async () => {
        const rows = await box.app(name);
        return rows.length > 0 && rows;
      }, 'the app');
      await box.logged(flags.length === 0 ? `${name}-out.log` : `${name}-out-${row?.id}.log`, 'done');
      for (const pid of box.supervisors()) {
        const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
        assert.ok(peak < 160 * 1024, `${what}: supervisor ${pid} has held ${peak} kB`);
      }
      assert.equal((await get(box.port)).status, 200);
      await box.ok('delete', name);
    }
    const told = readFileSync(join(box.home, 'daemon.log'), 'utf8');
    assert.equal(told.includes('does not say that what it was sent has arrived'), mode === 'cluster');
  });
}
