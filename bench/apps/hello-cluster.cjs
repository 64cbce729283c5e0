// What one would write without a process manager: the same app in Node's own cluster.
const cluster = require('node:cluster');
const { join } = require('node:path');

cluster.setupPrimary({ exec: join(__dirname, 'hello.cjs') });
for (let left = Number(process.env.BENCH_WORKERS); left > 0; left -= 1) cluster.fork();
