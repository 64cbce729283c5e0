/** Where a process listens. */
export interface Address {
  /** Such as `0.0.0.0:3000`, or the path of a unix socket. */
  readonly address: string;
  /** Which port was left to the system: the next run has another one. */
  readonly anyPort: boolean;
}

/** @returns `listened on A, now on B` where a run listens elsewhere than the one before; else null. */
export function moved(before: readonly Address[], now: readonly Address[]): string | null {
  const gone = missingIn(now, before);
  const added = missingIn(before, now);
  // One that is only missing, or only new, may have to do with something else.
  if (gone.length === 0 || added.length === 0) return null;
  return `listened on ${gone.join(', ')}, now on ${added.join(', ')}`;
}

function missingIn(others: readonly Address[], addresses: readonly Address[]): readonly string[] {
  const known = new Set(others.map(({ address }) => address));
  return addresses.flatMap(({ address, anyPort }) => (anyPort || known.has(address) ? [] : address));
}
