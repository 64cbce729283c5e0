// What the end-to-end tests ask of, for longer runs; it tells the harness once it listens.
const { createServer } = require('node:http');
const { connect } = require('node:net');
const handler = require('../../test/fixtures/load/handler.js');

const server = createServer(handler);
server.listen(Number(process.env.BENCH_PORT), '127.0.0.1', () => {
  const report = { pid: process.pid, port: server.address().port };
  connect(process.env.BENCH_HUB)
    .on('error', () => {})
    .end(`${JSON.stringify(report)}\n`);
});
