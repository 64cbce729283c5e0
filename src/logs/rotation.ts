import type { RotateInterval } from '../domain/app-spec.ts';

const NEWLINE = 10;

/** What a log is called once it was set aside: `app-out.log.20251231T235959.123Z`, and `.gz` when compressed. */
export function rotatedPath(path: string, at: number): string {
  return `${path}.${new Date(at).toISOString().replace(/[-:]/g, '')}`;
}

export interface RotatedName {
  /** The log that it was. */
  readonly log: string;
  readonly rotatedAt: number;
  readonly gz: boolean;
}

const ROTATED = /^(.+)\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3}Z)(\.gz)?$/s;

/** @returns null for what is no log set aside. */
export function parseRotated(name: string): RotatedName | null {
  const [, log, year, month, day, hour, minute, rest, gz] = ROTATED.exec(name) ?? [];
  if (log === undefined) return null;
  const rotatedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${rest}`);
  return Number.isNaN(rotatedAt) ? null : { log, rotatedAt, gz: gz !== undefined };
}

/** The first moment after `time` at which a log is set aside; infinite for never. In local time. */
export function nextRotation(interval: RotateInterval, time: number): number {
  const date = new Date(time);
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  switch (interval) {
    case 'never':
      return Number.POSITIVE_INFINITY;
    case 'hourly':
      return new Date(year, month, day, date.getHours() + 1).getTime();
    case 'daily':
      return new Date(year, month, day + 1).getTime();
    case 'weekly':
      return new Date(year, month, day + 8 - (date.getDay() || 7)).getTime();
    case 'monthly':
      return new Date(year, month + 1, 1).getTime();
  }
}

/** Where in a file the next bytes go. */
export interface Fill {
  readonly size: number;
  /** Where the last line of the file begins; its size when that line has ended. */
  readonly lineStart: number;
  /** The size that it should not exceed. */
  readonly maxBytes: number;
  /** A line that does not fit may go beyond that by so much; then it is cut. */
  readonly overshootBytes: number;
}

/**
 * How far bytes, from `at` on, still go into a file; where less than all of them do, it is set aside first. That is done
 * between two lines, but for one that is too long.
 */
export function room(bytes: Buffer, at: number, { size, lineStart, maxBytes, overshootBytes }: Fill): number {
  const left = maxBytes - size;
  if (bytes.length - at <= left) return bytes.length;
  const last = left > 0 ? bytes.lastIndexOf(NEWLINE, at + left - 1) : -1;
  if (last >= at) return last + 1;
  if (size > 0 && size === lineStart) return at;
  const first = bytes.indexOf(NEWLINE, at);
  const end = first === -1 ? bytes.length : first + 1;
  return Math.min(end, Math.max(at, at + left + overshootBytes));
}
