// A program that uses Node's cluster module itself, as in Node's documentation. upkeep runs it in fork mode.
const cluster = require('node:cluster');
const http = require('node:http');
const { availableParallelism } = require('node:os');

if (cluster.isPrimary) {
  console.log(`primary ${process.pid} is running`);
  for (let count = 0; count < availableParallelism(); count++) cluster.fork();
  cluster.on('exit', (worker) => console.log(`worker ${worker.process.pid} died`));
} else {
  const port = Number(process.env.PORT ?? 8081);
  http.createServer((_request, response) => response.end('hello world\n')).listen(port);
  console.log(`worker ${process.pid} started`);
}
