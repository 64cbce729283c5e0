/** A copy in order, so that collections whose order means nothing can be compared. */
export function sorted<T extends string | number | null>(values: Iterable<T>): T[] {
  return [...values].toSorted((a, b) => (a === b ? 0 : (a ?? 0) < (b ?? 0) ? -1 : 1));
}
