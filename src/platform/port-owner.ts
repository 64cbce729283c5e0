import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTEN = '0A';

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];

/**
 * @param home of this upkeep.
 * @returns `nginx (pid 812)` for the process that listens on a TCP port, or null where /proc does not tell. The socket of
 * a cluster is its supervisor's, and one of its workers tells which app it is.
 */
export function portOwner(port: number, home: string): string | null {
  const inodes = new Set(listening().flatMap((socket) => (socket.port === port ? socket.inode : [])));
  if (inodes.size === 0) return null;
  let upkeep: string | null = null;
  let program: string | null = null;
  for (const entry of list('/proc')) {
    if (!/^\d+$/.test(entry) || !socketsOf(entry).some((inode) => inodes.has(inode))) continue;
    const of = upkeepHome(read(`/proc/${entry}/cmdline`));
    if (of === null) program ??= `${programName(entry)} (pid ${entry})`;
    else upkeep = of === home ? 'another app of upkeep' : `upkeep (home ${of})`;
  }
  return upkeep && program ? `${upkeep}: ${program}` : (upkeep ?? program);
}

/** @returns the home of an upkeep process, as its title tells it; null for any other. */
function upkeepHome(title: string): string | null {
  return /^upkeep (?:supervisor \S+|daemon) ([^\0]+)/.exec(title)?.[1]?.trimEnd() ?? null;
}

/** @returns the TCP ports that a process listens on; none where /proc does not tell. */
export function portsOf(pid: number): number[] {
  const inodes = new Set(socketsOf(String(pid)));
  return listening().flatMap(({ port, inode }) => (inodes.has(inode) ? port : []));
}

function listening(): { readonly port: number; readonly inode: string }[] {
  return TABLES.flatMap((table) => read(table).split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN)
    .map((fields) => ({ port: Number.parseInt(fields[1]?.split(':').at(-1) ?? '', 16), inode: fields[9] ?? '' }));
}

function socketsOf(pid: string): string[] {
  return list(`/proc/${pid}/fd`).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1] ?? [],
  );
}

function programName(pid: string): string {
  const [program = '', ...args] = read(`/proc/${pid}/cmdline`).split('\0');
  const name = program.slice(program.lastIndexOf('/') + 1) || read(`/proc/${pid}/comm`).trim();
  if (!/^(node|python|ruby|perl|php|bash|sh)/.test(name)) return name;
  // The script: the first argument that is neither an option nor a preload.
  const script = args.find(
    (arg, index) => !arg.startsWith('-') && !/^--?(r|require|import)$/.test(args[index - 1] ?? ''),
  );
  return script ? `${name} ${script}` : name;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
