// The app under test: answers every request, and tells the harness once it listens.
const { createServer } = require('node:http');
const { connect } = require('node:net');

const BLOCK_MS = 2000;

const block = () => {
  const until = Date.now() + BLOCK_MS;
  while (Date.now() < until);
};

const server = createServer((request, response) => {
  if (request.url === '/pid') return response.end(String(process.pid));
  if (request.url === '/slow') return setTimeout(() => response.end('hello\n'), 300);
  if (request.url === '/block') setImmediate(block);
  return response.end('hello\n');
});
const listen = () =>
  server.listen(Number(process.env.BENCH_PORT ?? 0), '127.0.0.1', () => {
    const report = { pid: process.pid, port: server.address().port };
    connect(process.env.BENCH_HUB)
      .on('error', () => {})
      .end(`${JSON.stringify(report)}\n`);
  });
// What an app does before it can serve.
setTimeout(listen, Number(process.env.BENCH_START_MS ?? 0));
