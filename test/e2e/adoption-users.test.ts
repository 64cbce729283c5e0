import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Load } from './clients.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { noOtherUser } from './nobody.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const options = process.platform === 'linux' ? { skip: noOtherUser() } : { skip: 'it leads through /proc' };

const told = async (box: Sandbox) =>
  (await box.rows()).map(({ id, pid, restarts, state }) => [id, pid, restarts, state.kind]);

for (const balance of ['auto', 'rr']) {
  test(
    `balance ${balance}: apps that run as another user, or become one, outlive their supervisors`,
    options,
    async (t) => {
      const box = await sandbox(t, { open: true });
      const web = { script: fixture('load/http.js'), instances: 2, balance };
      const apps = [
        { name: 'web', uid: 'nobody', ...web },
        { name: 'drops', ...web, script: fixture('drops-root.js') },
        { name: 'job', script: fixture('talks.js'), uid: 'nobody', shutdown_with_message: true },
      ];
      await box.ok('start', box.write('eco.json', JSON.stringify({ apps })));
      const load = new Load(t);
      const target = { port: box.port };
      load.keepAlive(target, (index) => `/bytes/${index % 3000}`).newConnections(target, () => '/bytes/9');
      const drops = { port: box.port + 1 };
      assert.equal((await get(drops)).body, 'uid 65534');
      const before = await told(box);
      for (let round = 0; round < 2; round++) {
        const old = box.supervisors();
        for (const pid of old) process.kill(pid, 'SIGKILL');
        await until(
          () => box.supervisors().filter((pid) => !old.includes(pid)).length === old.length,
          'other supervisors',
        );
        // They answer once they have taken over.
        await until(async () => (await box.upkeep('sendSignal', 'SIGCONT', 'all')).code === 0, 'an answer');
        assert.deepEqual(await told(box), before);
        assert.equal((await get(drops)).body, 'uid 65534');
      }
      // All have come: so a new worker gets the sockets, and an old one is told to end.
      await box.ok('scale', 'web', '3');
      await box.ok('reload', 'web');
      await box.ok('reload', 'drops');
      assert.deepEqual((await load.stop()).failures, []);
      await box.ok('stop', 'job');
      assert.match(box.log('job-out.log'), /message "shutdown"\n$/);

      assert.equal(statSync(box.home).mode & 0o777, 0o700);
      const doors = readdirSync(join(box.home, 'run')).filter((name) => /^attach-[^.]*$/.test(name));
      assert.deepEqual(
        doors.map((name) => statSync(join(box.home, 'run', name)).mode & 0o777),
        doors.map(() => 0o711),
      );
      assert.ok(doors.length > 0);
    },
  );
}
