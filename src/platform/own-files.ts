import { statSync } from 'node:fs';

/** So soon is noticed what a `rm -rf`, or who clears up /tmp, has taken away. */
const LOOK_MS = 2000;

export interface OwnFiles {
  /** Looks at once, as when another process misses them. */
  readonly look: () => void;
}

/**
 * Looks now and then whether files are still those that this process made, and has them made again where they are not.
 * @param lost whether anything else is missing.
 * @param makeAgain is tried again at the next look where it fails.
 */
export function keepOwnFiles(
  paths: readonly string[],
  lost: () => boolean,
  makeAgain: () => Promise<void>,
  complain: (line: string) => void,
): OwnFiles {
  let own = paths.map(identityOf);
  let making = false;
  let told: string | null = null;
  const look = (): void => {
    const missing = paths.find((path, at) => own[at] === null || identityOf(path) !== own[at]);
    if (making || (missing === undefined && !lost())) return;
    making = true;
    if (told === null)
      complain(`${missing ?? 'a file'} is not what this process made: all of its files are made again`);
    told ??= '';
    void makeAgain()
      .then(
        () => {
          own = paths.map(identityOf);
          told = null;
        },
        ({ message }: Error) => {
          if (told !== message) complain(`cannot make them again: ${message}; it is tried again`);
          told = message;
        },
      )
      .finally(() => {
        making = false;
      });
  };
  setInterval(look, LOOK_MS).unref();
  return { look };
}

/** @returns null for what is not there. */
function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return ino === undefined ? null : `${dev}:${ino}`;
  } catch {
    return null;
  }
}
