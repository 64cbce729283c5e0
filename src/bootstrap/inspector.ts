import { INSPECT_VARIABLE } from '../protocol/ipc.ts';

const AGAIN_MS = 250;

/**
 * Opens Node's inspector where it was asked for by `--inspect`, as soon as its port is free: the instance before has it
 * until it is told to end.
 * @returns what closes it.
 */
export function openInspector(): () => void {
  const host = process.env[INSPECT_VARIABLE];
  if (host === undefined) return () => {};
  delete process.env[INSPECT_VARIABLE];
  const { connect } = require('node:net') as typeof import('node:net');
  const inspector = require('node:inspector') as typeof import('node:inspector');
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const open = (): void => {
    if (!closed && inspector.url() === undefined) inspector.open(process.debugPort, host || undefined);
  };
  const look = (): void => {
    // Node tells on stderr what it cannot open.
    const socket = connect({ port: process.debugPort, host: host || '127.0.0.1' });
    socket.unref();
    socket.once('connect', () => {
      socket.destroy();
      if (!closed) timer = setTimeout(look, AGAIN_MS).unref();
    });
    socket.once('error', open);
  };
  if (process.debugPort === 0) open();
  else look();
  return () => {
    closed = true;
    if (timer) clearTimeout(timer);
    inspector.close();
  };
}
