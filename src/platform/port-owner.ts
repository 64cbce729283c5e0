import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTEN = '0A';

/** @returns `nginx (pid 812)` for the process that listens on a TCP port, or null where /proc does not tell. */
export function portOwner(port: number): string | null {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return null;
  for (const entry of list('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const holds = list(`/proc/${entry}/fd`).some((fd) => {
      const match = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${entry}/fd/${fd}`));
      return match?.[1] !== undefined && inodes.has(match[1]);
    });
    if (holds) return `${programName(entry)} (pid ${entry})`;
  }
  return null;
}

function listeningInodes(table: string, port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return read(table)
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN && fields[1]?.endsWith(`:${hexPort}`))
    .flatMap((fields) => fields[9] ?? []);
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
