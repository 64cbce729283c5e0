import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.mjs';
import { openConnection } from './persistent.mjs';

const START_LIMIT_MS = 5000;

export const hasNginx = () => spawnSync('nginx', ['-v']).status === 0;

/** nginx in front of a port, with connections to it that are kept. It fails rather than to ask twice. */
export const startNginx = async (upstream) => {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-bench-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; error_log error.log;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
  upstream app { server 127.0.0.1:${upstream}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
    }
  }
}
`,
  );
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], {
    stdio: 'ignore',
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (const until = performance.now() + START_LIMIT_MS; ; await sleep(20)) {
    try {
      (await openConnection(port)).destroy();
      return { port, stop };
    } catch (error) {
      if (performance.now() < until && child.exitCode === null) continue;
      await stop();
      throw error;
    }
  }
};
