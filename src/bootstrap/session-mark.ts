import type { ServerResponse } from 'node:http';
import { type SessionMark, sessionMarkName } from '../protocol/ipc.ts';

/**
 * With `sticky_cookie`, a value that an app makes for a new client belongs to the worker that has made it. So where a
 * response sets that cookie, it sets a second one, which names the worker's place. docs/adr/0017 tells why.
 */

type StoreHeader = (this: Response, ...args: unknown[]) => unknown;
type Response = ServerResponse & { _storeHeader: StoreHeader; _header: string };

export function markSessions(mark: SessionMark): void {
  const { ServerResponse: Base } = require('node:http') as typeof import('node:http');
  const prototype = Base.prototype as Response;
  const storeHeader = prototype._storeHeader;
  prototype._storeHeader = function (...args) {
    const result = storeHeader.apply(this, args);
    // Within TLS the supervisor sees no cookies.
    const isEncrypted = (this.socket as { readonly encrypted?: boolean } | null)?.encrypted;
    if (typeof this._header === 'string' && !isEncrypted) this._header = withMark(this._header, mark);
    return result;
  };
}

/** Adds the mark to the head of a response that sets the cookie, with the same attributes, so that both end together. */
export function withMark(head: string, { cookie, slot }: SessionMark): string {
  if (!head.includes(`${cookie}=`)) return head;
  const lines = head.split('\r\n');
  for (const line of lines) {
    const [, name, attributes = ''] = /^set-cookie:\s*([^=;]*)=[^;]*(;.*)?$/i.exec(line) ?? [];
    if (name?.trim() !== cookie) continue;
    lines.splice(lines.indexOf(line) + 1, 0, `Set-Cookie: ${sessionMarkName(cookie)}=${slot}${attributes}`);
    break;
  }
  return lines.join('\r\n');
}
