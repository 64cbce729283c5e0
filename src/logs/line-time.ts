/** `2025-12-31T23:59:59.123Z`, also with a space, without a zone (local time then), or in brackets. */
const LEADING = /^\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,3})\d*)?(Z|[+-]\d\d:?\d\d)?/;
const FIELD = /"(?:time|timestamp|ts|@timestamp)"\s*:\s*(?:"([^"]+)"|(\d{10,13})(?:\.\d+)?\b)/;
/** The time stands near the beginning. */
const LOOKED_AT = 300;

/** When a line was written, as far as it says so itself; else null. */
export function timeInLine(line: string): number | null {
  const leading = LEADING.exec(line);
  if (leading) {
    const [, date, time, fraction = '0', zone = ''] = leading;
    return orNull(Date.parse(`${date}T${time}.${fraction.padEnd(3, '0')}${zone}`));
  }
  if (!line.startsWith('{')) return null;
  const [, text, number] = FIELD.exec(line.slice(0, LOOKED_AT)) ?? [];
  if (number !== undefined) return Number(number) * (number.length <= 10 ? 1000 : 1);
  return text === undefined ? null : orNull(Date.parse(text));
}

function orNull(time: number): number | null {
  return Number.isNaN(time) ? null : time;
}
