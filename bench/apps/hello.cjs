// The app under test: answers every request, and tells the harness once it listens.
const { createServer } = require('node:http');
const { connect } = require('node:net');

const server = createServer((_request, response) => response.end('hello\n'));
server.listen(Number(process.env.BENCH_PORT ?? 0), '127.0.0.1', () => {
  const report = { pid: process.pid, port: server.address().port };
  connect(process.env.BENCH_HUB).end(`${JSON.stringify(report)}\n`);
});
