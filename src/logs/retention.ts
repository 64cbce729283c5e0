import type { RotationSpec } from '../domain/app-spec.ts';
import type { Segment } from './segments.ts';

export interface SizedSegment extends Segment {
  readonly bytes: number;
}

/**
 * Which files of an app's logs are to be removed: what is too old, what is too many of one log, and then the oldest
 * until all together are small enough. A file that is written to is never removed, but counts.
 */
export function expired(
  segments: readonly SizedSegment[],
  { retain, maxAgeMs, maxTotalBytes }: Pick<RotationSpec, 'retain' | 'maxAgeMs' | 'maxTotalBytes'>,
  now: number,
): readonly SizedSegment[] {
  const newer = new Map<string, number>();
  let total = segments.reduce((sum, { rotatedAt, bytes }) => sum + (rotatedAt === null ? bytes : 0), 0);
  return segments
    .filter(({ rotatedAt }) => rotatedAt !== null)
    .toSorted((a, b) => (b.rotatedAt ?? 0) - (a.rotatedAt ?? 0))
    .filter(({ log, rotatedAt, bytes }) => {
      const count = (newer.get(log) ?? 0) + 1;
      newer.set(log, count);
      if (count > (retain ?? Infinity) || now - (rotatedAt ?? now) > (maxAgeMs ?? Infinity)) return true;
      total += bytes;
      return total > (maxTotalBytes ?? Infinity);
    });
}
