/** Which apps or instances a command means. */
export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'pattern'; readonly pattern: RegExp }
  | { readonly kind: 'word'; readonly word: string };

/** What a selector chooses from: one row an instance. */
export interface Selectable {
  readonly id: number;
  readonly name: string;
  readonly namespace: string;
}

/**
 * Reads a target as typed: `all`, `/regex/` on the name, or a name, namespace, id or `namespace/name`, as `list` shows it.
 * @throws SyntaxError when the text between the slashes is no regular expression.
 */
export function parseSelector(text: string): Selector {
  if (text === 'all') return { kind: 'all' };
  const slashed = /^\/(.+)\/([a-z]*)$/.exec(text);
  if (slashed?.[1] !== undefined) return { kind: 'pattern', pattern: new RegExp(slashed[1], slashed[2]) };
  return { kind: 'word', word: text };
}

/** The rows that are meant. A name wins over a namespace, both over an id. */
export function select<Row extends Selectable>(selector: Selector, rows: readonly Row[]): readonly Row[] {
  switch (selector.kind) {
    case 'all':
      return rows;
    case 'pattern':
      return rows.filter((row) => row.name.search(selector.pattern) !== -1);
    case 'word': {
      const { word } = selector;
      const byName = rows.filter((row) => row.name === word);
      if (byName.length > 0) return byName;
      const byNamespace = rows.filter((row) => row.namespace === word);
      if (byNamespace.length > 0) return byNamespace;
      const byBoth = rows.filter((row) => `${row.namespace}/${row.name}` === word);
      if (byBoth.length > 0) return byBoth;
      return /^\d+$/.test(word) ? rows.filter((row) => row.id === Number(word)) : [];
    }
  }
}
