import { once } from 'node:events';
import { connect } from 'node:net';

const ANSWER_LIMIT_MS = 10_000;

/** A connection of its own, kept open. */
export const openConnection = async (port) => {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('latin1').setNoDelay(true);
  await once(socket, 'connect');
  return socket;
};

/** Asks for a path on a connection. @returns the body. */
export const ask = (socket, path) =>
  new Promise((resolve, reject) => {
    let text = '';
    const done = (settle, value) => {
      clearTimeout(timer);
      socket.removeAllListeners('data').removeAllListeners('error');
      settle(value);
    };
    const timer = setTimeout(() => done(reject, new Error(`${path}: no answer`)), ANSWER_LIMIT_MS);
    socket.on('error', (error) => done(reject, error));
    socket.on('data', (chunk) => {
      text += chunk;
      const [head, body] = text.split('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
      if (body !== undefined && body.length >= length) done(resolve, body.slice(0, length));
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
  });
