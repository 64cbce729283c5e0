import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { freePort } from './ports.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

/** What the inspector that listens there is called; null for none. */
async function inspected(port: number): Promise<string | null> {
  const answer = await get({ port, path: '/json/list' }).catch(() => null);
  const [target] = answer ? (JSON.parse(answer.body) as { readonly id: string }[]) : [];
  return target?.id ?? null;
}

for (const [mode, flags, logs] of [
  ['cluster', ['-i', '2'], ['web-error-0.log', 'web-error-1.log']],
  ['fork', [], ['web-error.log']],
] as const) {
  for (const way of ['arguments', 'variables']) {
    test(`${mode} mode: each instance has its port for the inspector, whatever is done, by ${way}`, async (t) => {
      const box = await sandbox(t);
      const port = await freePort();
      const option = `--inspect=127.0.0.1:${port}`;
      if (way === 'variables') box.env['NODE_OPTIONS'] = option;
      const more = way === 'arguments' ? [`--node-args=${option}`] : [];
      await box.run(['start', fixture('http-hello.js'), '--name', 'web', ...flags, ...more]);
      // Else each command has one, too.
      delete box.env['NODE_OPTIONS'];
      const each = async (runs: number): Promise<void> => {
        for (const [index, log] of logs.entries()) {
          const names = () => [...box.log(log).matchAll(/ws:.*\/(.*)/g)].map(([, name]) => name);
          const opened = async () => names().length === runs && (await inspected(port + index)) === names().at(-1);
          await until(opened, `instance ${index}, run ${runs}`, () => box.log(log));
          assert.doesNotMatch(box.log(log), /in use/);
        }
      };
      await each(1);
      await box.ok('reload', 'web');
      await each(2);
      await box.ok('restart', 'web');
      await each(3);
    });
  }
}

test('source_map_support: places in errors are those of the sources', async (t) => {
  const box = await sandbox(t);
  // The one line of app.js comes from line 7 of its source.
  const map = { version: 3, sources: ['app.ts'], names: [], mappings: 'AAMA' };
  const data = Buffer.from(JSON.stringify(map)).toString('base64');
  const url = `data:application/json;base64,${data}`;
  box.write(
    'app.js',
    `console.error(new Error('here').stack); setInterval(() => {}, 1e6);\n//# sourceMappingURL=${url}\n`,
  );
  await box.ok('start', 'app.js', '--name', 'app', '--source-map-support');
  await box.logged('app-error.log', /app\.ts:7/);
});
