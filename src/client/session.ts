import { UpkeepError } from '../protocol/errors.ts';
import type { Home } from '../protocol/home.ts';
import { heldPipes, readMarks } from '../protocol/marks.ts';
import type { Hello } from '../protocol/messages.ts';
import type { Client } from './client.ts';

/** One connection at a time, made when it is first needed and again when it was lost. */
export class Session {
  readonly #home: () => Home;
  readonly #daemonScript: string;
  readonly #onDaemon: (daemon: Hello) => void;
  #client: Client | null = null;
  #connecting: Promise<Client> | null = null;

  /** @param onDaemon is told who answers, at each connection. */
  constructor(home: () => Home, daemonScript: string, onDaemon: (daemon: Hello) => void) {
    this.#home = home;
    this.#daemonScript = daemonScript;
    this.#onDaemon = onDaemon;
  }

  /** Connects, and starts a daemon where none runs. */
  async connect(): Promise<Client> {
    if (this.#client && !this.#client.closed) return this.#client;
    this.#connecting ??= this.#start().finally(() => {
      this.#connecting = null;
    });
    this.#client = await this.#connecting;
    this.#onDaemon(this.#client.daemon);
    return this.#client;
  }

  /** Where no daemon runs, starts one that only ends what there is. @returns null where there is nothing. */
  async connectToEnd(): Promise<Client | null> {
    const home = this.#home();
    const { daemons, supervisors, left, piped } = readMarks(home);
    if (daemons.length + supervisors.size + left.size + piped.size === 0) return null;
    const { connectOrStart } = await import('./client.ts');
    this.#client = await connectOrStart(home, this.#daemonScript, 'ending').catch((cause: unknown) => {
      throw notEnded(home, UpkeepError.from(cause));
    });
    return this.#client;
  }

  /** @returns null when no daemon runs. */
  async connectRunning(anyProtocol = false): Promise<Client | null> {
    if (!this.#client || this.#client.closed) {
      const { connectRunning } = await import('./client.ts');
      this.#client = await connectRunning(this.#home(), anyProtocol);
      if (this.#client && !anyProtocol) this.#onDaemon(this.#client.daemon);
    }
    return this.#client;
  }

  async #start(): Promise<Client> {
    // With it comes node:net, which a `list` from the status file does without.
    const { connectOrStart } = await import('./client.ts');
    return connectOrStart(this.#home(), this.#daemonScript);
  }

  close(): void {
    this.#client?.close();
    this.#client = null;
  }
}

/** Where no daemon could be started to end what runs. */
function notEnded({ run }: Home, cause: UpkeepError): UpkeepError {
  const pids = [...new Set(heldPipes(run).map(({ pid }) => pid))];
  if (pids.length === 0) return cause;
  const { code, message, hint } = cause;
  return new UpkeepError(code, `${message}; its apps go on, as processes ${pids.join(', ')}`, { cause, hint });
}
