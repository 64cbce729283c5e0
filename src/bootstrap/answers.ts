import type { ServerResponse } from 'node:http';
import * as own from './own.ts';

/** Errors that are told; that there are more says nothing new. */
const MOST_ERRORS = 5;

const CHANNEL = 'http.server.response.finish';

/**
 * Tells the status of answers to HTTP/1 requests: of the first errors, and of the first that is none, which ends it.
 * For as long as this app is on trial, as listening to the channel costs a little at each answer.
 */
export function watchAnswers(withinMs: number, tell: (status: number) => void): void {
  const diagnostics = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
  let errors = 0;
  const onFinish = (message: unknown): void => {
    const { statusCode } = (message as { response: ServerResponse }).response;
    if (statusCode < 500) end();
    else if (++errors > MOST_ERRORS) return;
    tell(statusCode);
  };
  const end = (): void => {
    diagnostics.unsubscribe(CHANNEL, onFinish);
    own.clearTimeout(timer);
  };
  const timer = own.setTimeout(end, withinMs).unref();
  diagnostics.subscribe(CHANNEL, onFinish);
}
