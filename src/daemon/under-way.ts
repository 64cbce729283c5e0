type Kind = 'start' | 'restart' | 'reload';

/** The changes of apps that this daemon has begun and that have not ended. What one before it began, supervisors know. */
export class UnderWay {
  readonly #begun = new Set<{ readonly kind: Kind; readonly keys: ReadonlySet<string> }>();

  /** @param kind null for any. */
  has(key: string, kind: Kind | null = null): boolean {
    return [...this.#begun].some((each) => each.keys.has(key) && (kind === null || each.kind === kind));
  }

  /** Apps are being changed for as long as `act` takes. */
  async during<T>(kind: Kind, keys: readonly string[], act: () => Promise<T>): Promise<T> {
    const begun = { kind, keys: new Set(keys) };
    this.#begun.add(begun);
    try {
      return await act();
    } finally {
      this.#begun.delete(begun);
    }
  }
}
