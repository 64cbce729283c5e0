/** What brings an app in, or another spec of it. */
export type ChangeKind = 'start' | 'restart' | 'reload';

/** The changes of apps that this daemon has begun and that have not ended. What one before it began, supervisors know. */
export class UnderWay {
  readonly #begun = new Set<{ readonly kind: ChangeKind; readonly keys: ReadonlySet<string> }>();

  /** @param kind null for any. */
  has(key: string, kind: ChangeKind | null = null): boolean {
    return [...this.#begun].some((each) => each.keys.has(key) && (kind === null || each.kind === kind));
  }

  /** Apps are being changed for as long as `act` takes. */
  async during<T>(kind: ChangeKind, keys: readonly string[], act: () => Promise<T>): Promise<T> {
    const begun = { kind, keys: new Set(keys) };
    this.#begun.add(begun);
    try {
      return await act();
    } finally {
      this.#begun.delete(begun);
    }
  }
}
