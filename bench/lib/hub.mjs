import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n';
const RETRY_MS = 1;
const DEFAULT_LIMIT_MS = 60_000;

/**
 * Where apps report that they listen. An app counts as ready once it has answered a request after that, so a
 * manager's own idea of "online" plays no part.
 */
export const createHub = async (path) => {
  let expected;
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      if (text.endsWith('\n') && expected) greet(expected, JSON.parse(text));
    });
  });
  server.listen(path);
  await once(server, 'listening');

  return {
    path,
    /** Resolves with the apps, and the time of the last answer, once `count` apps that report from now on answered. */
    expect: (count, limitMs = DEFAULT_LIMIT_MS) => {
      const { promise, resolve, reject } = withResolvers();
      const wait = { count, apps: [], open: true };
      const timer = setTimeout(() => {
        wait.open = false;
        reject(new Error(`only ${wait.apps.length} of ${count} apps answered within ${limitMs} ms`));
      }, limitMs);
      wait.cancel = () => {
        wait.open = false;
        clearTimeout(timer);
      };
      wait.done = (at) => {
        wait.cancel();
        resolve({ at, apps: wait.apps });
      };
      expected = wait;
      // The command that starts the apps may fail first: its error is then the one to show.
      promise.catch(() => {});
      return promise;
    },
    close: () => {
      expected?.cancel();
      server.close();
    },
  };
};

const greet = (wait, app) => {
  const socket = connect({ host: '127.0.0.1', port: app.port }, () => socket.write(REQUEST));
  socket.once('data', () => {
    const at = performance.now();
    socket.destroy();
    if (!wait.open) return;
    wait.apps.push(app);
    if (wait.apps.length === wait.count) wait.done(at);
  });
  socket.once('error', () => {
    if (wait.open) setTimeout(greet, RETRY_MS, wait, app);
  });
};

// Promise.withResolvers needs Node 22.
const withResolvers = () => {
  let resolve;
  let reject;
  const promise = new Promise((...both) => {
    [resolve, reject] = both;
  });
  return { promise, resolve, reject };
};
