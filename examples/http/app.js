// An ordinary HTTP server: it knows nothing of clusters or of upkeep.
const { createServer } = require('node:http');

const port = Number(process.env.PORT ?? 8080);
const text = 'Hello';

createServer((_request, response) => {
  response.end(`${text} from worker ${process.env.NODE_APP_INSTANCE ?? '-'}, process ${process.pid}\n`);
}).listen(port, () => console.log(`listening on port ${port}`));
