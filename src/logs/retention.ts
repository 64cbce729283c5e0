import type { RotationSpec } from '../domain/app-spec.ts';
import type { SizedSegment } from './segments.ts';

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
    .filter((segment) => {
      const { log, bytes } = segment;
      const count = (newer.get(log) ?? 0) + 1;
      newer.set(log, count);
      if (count > (retain ?? Infinity) || ageOf(segment, now) > (maxAgeMs ?? Infinity)) return true;
      total += bytes;
      return total > (maxTotalBytes ?? Infinity);
    });
}

/** A name may tell a time that is still to come: the clock was set back, or somebody made it up. */
function ageOf({ rotatedAt, changedAt }: SizedSegment, now: number): number {
  return now - (rotatedAt === null || rotatedAt > now ? changedAt : rotatedAt);
}

/**
 * How much each of several may hold, so that all together hold no more than a limit: those that hold most give, and
 * nobody who holds less than an equal share gives anything, whatever the others hold.
 */
export function fairShare(sizes: readonly number[], limit: number): number {
  let left = limit;
  const rising = sizes.toSorted((a, b) => a - b);
  for (const [at, size] of rising.entries()) {
    const share = left / (rising.length - at);
    if (size > share) return share;
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}
