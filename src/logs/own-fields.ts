/** Fields of upkeep's: the app's own of these names are kept under `app_` and the name. */
const RESERVED: ReadonlySet<string> = new Set(['time', 'app', 'instance', 'stream', 'release']);

/** What follows upkeep's fields when a line is an object of JSON; null when it is none. */
export function ownFields(line: string): string | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  const names = Object.keys(parsed);
  if (names.length === 0) return '}';
  if (!names.some((name) => RESERVED.has(name))) return `,${line.trim().slice(1)}`;
  const renamed = Object.entries(parsed).map(([name, value]) => [RESERVED.has(name) ? `app_${name}` : name, value]);
  return `,${JSON.stringify(Object.fromEntries(renamed)).slice(1)}`;
}
