// Finishes by itself when asked: first the database, then the server, then the process.
const { createServer } = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const database = { close: () => sleep(50) };
const server = createServer((_request, response) => response.end('ok\n'));
server.listen(Number(process.env.PORT ?? 8082), () => console.log('listening'));

process.on('message', async (message) => {
  if (message !== 'shutdown') return;
  await database.close();
  console.log('database closed');
  server.close(() => {
    console.log('server closed');
    process.exit(0);
  });
  server.closeIdleConnections();
});
