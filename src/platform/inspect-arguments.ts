import { INSPECT_VARIABLE } from '../protocol/ipc.ts';

type Variables = Readonly<Record<string, string>>;

/** What names the port of Node's inspector. Only the first of them opens it, and goes on with the app. */
const INSPECT = /^--inspect(-brk|-wait|-port)?(?:=(.*))?$/;
const DEFAULT_PORT = 9229;

interface Inspection {
  readonly options: readonly string[];
  /** The port in them; null where there is none. */
  readonly port: number | null;
  /** The bootstrap is to open the inspector on this host, once the port is free; '' for the usual one. */
  readonly opensOn: string | null;
}

/**
 * Gives each instance an inspector of its own: the first has the port that was named, the next one more. In a reload the
 * instance before still has it: so it is not Node that opens it, which would fail at once and for good.
 */
function inspection(options: readonly string[], index: number): Inspection {
  let port: number | null = null;
  let opensOn: string | null = null;
  const own = options.map((option) => {
    const [whole, kind = '', where = ''] = INSPECT.exec(option) ?? [];
    if (whole === undefined) return option;
    const [, host = '', named] = /^(?:(.*):)?(\d+)$/.exec(where) ?? ['', where];
    const first = Number(named ?? DEFAULT_PORT);
    // 0 is any that is free.
    port = first === 0 ? 0 : first + index;
    if (kind === '') opensOn = host;
    return `--inspect${kind || '-port'}=${host === '' ? '' : `${host}:`}${port}`;
  });
  return { options: own, port, opensOn };
}

/** The same for an app's variables, whose NODE_OPTIONS may ask for it. */
export function inspectionOf(
  { interpreterArgs, env }: { readonly interpreterArgs: readonly string[]; readonly env: Variables },
  index: number,
): { readonly interpreterArgs: readonly string[]; readonly env: Variables; readonly port: number } {
  const byArgs = inspection(interpreterArgs, index);
  const given = env['NODE_OPTIONS'];
  const byEnv = inspection(given?.split(' ') ?? [], index);
  const opensOn = byArgs.opensOn ?? byEnv.opensOn;
  return {
    interpreterArgs: byArgs.options,
    env: {
      ...env,
      ...(given === undefined ? {} : { NODE_OPTIONS: byEnv.options.join(' ') }),
      ...(opensOn === null ? {} : { [INSPECT_VARIABLE]: opensOn }),
    },
    port: byArgs.port ?? byEnv.port ?? DEFAULT_PORT,
  };
}
