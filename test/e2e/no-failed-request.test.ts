import { test } from 'node:test';
import { change, chunked, failsNothing, slow, small, start } from './change-under-load.ts';
import { Load } from './clients.ts';

for (const workers of [1, 2, 4]) {
  test(`http, ${workers} workers: every answer of every client comes whole`, async (t) => {
    const box = await start(t, 'http', '-i', String(workers));
    const target = { port: box.port };
    const load = new Load(t);
    for (let each = 0; each < 3; each++) {
      load.keepAlive(target, small).keepAlive(target, chunked).newConnections(target, small).keepAlive(target, slow);
    }
    load.pipelines(target).pipelines(target).uploads(target);
    load
      .newConnections(target, () => '/download/20/40')
      .keepAlive(target, small, 700)
      .keepAlive(target, small, 1900);
    await change(box, load);
    await failsNothing(load);
  });
}

test('WebSockets are told to go, event streams end whole', async (t) => {
  const box = await start(t, 'http', '-i', '2');
  const target = { port: box.port };
  const load = new Load(t).keepAlive(target, small).newConnections(target, small);
  for (let each = 0; each < 5; each++) load.webSockets(target).eventStreams(target);
  await change(box, load);
  await failsNothing(load);
});

for (const app of ['express', 'fastify', 'koa'] as const) {
  test(`${app}: every answer comes whole`, async (t) => {
    const box = await start(t, app, '-i', '2');
    const target = { port: box.port };
    const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, chunked);
    load.pipelines(target).keepAlive(target, small, 900);
    await change(box, load, 1);
    await failsNothing(load);
  });
}

test('https: every answer comes whole', async (t) => {
  const box = await start(t, 'https', '-i', '2');
  const target = { port: box.port, tls: true };
  const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, chunked);
  load.uploads(target).keepAlive(target, small, 900);
  await change(box, load, 1);
  await failsNothing(load);
});

test('HTTP/2: sessions are told to go, their streams end, and HTTP/1 beside them', async (t) => {
  const box = await start(t, 'http2', '-i', '2');
  const target = { port: box.port, tls: true };
  const load = new Load(t).http2(target).http2(target).http2(target);
  load.keepAlive(target, small).newConnections(target, chunked);
  await change(box, load, 1);
  await failsNothing(load);
});

test('a plain TCP server: connections last until they end', async (t) => {
  const box = await start(t, 'net', '-i', '2');
  const load = new Load(t);
  for (let each = 0; each < 6; each++) load.lines({ port: box.port });
  await change(box, load, 2);
  await failsNothing(load);
});
