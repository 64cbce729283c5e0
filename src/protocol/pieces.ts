/** However many apps there are, nothing that is sent grows with them: lists go in pieces of about this many bytes. */
export const PIECE_BYTES = 1024 * 1024;

/**
 * Cuts a list into lists that are short; an item that is long by itself stands alone. None of an empty list.
 * @param sizeOf how long an item is, by default as JSON.
 */
export function* pieces<T>(items: readonly T[], sizeOf: (item: T) => number = jsonLength): Generator<readonly T[]> {
  if (items.length === 1) return yield items;
  let piece: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (piece.length > 0 && bytes + size > PIECE_BYTES) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(item);
    bytes += size;
  }
  if (piece.length > 0) yield piece;
}

function jsonLength(item: unknown): number {
  return JSON.stringify(item)?.length ?? 0;
}
