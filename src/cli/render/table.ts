import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** Code points that terminals draw two cells wide. Made when needed, as such classes take a while. */
let wide: RegExp | undefined;
const WIDE = String.raw`[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}`;
/** Marks that combine with the character before take no cell. */
let mark: RegExp | undefined;
const NARROW_ONLY = /^[\x20-\x7e]*$/;

/**
 * Draws a table in a box; cells may hold colours. Our own, as the libraries for it take longer to load than all the
 * rest of `list` (docs/adr/0003-dependencies.md).
 * @param dim colours the lines.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  dim: (text: string) => string,
  bold: (text: string) => string,
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(...[title, ...rows.map((row) => row[index] ?? '')].map(cells)),
  );
  const rule = (left: string, middle: string, right: string): string =>
    dim(left + widths.map((width) => '─'.repeat(width + 2)).join(middle) + right);
  const line = (row: readonly string[]): string =>
    dim('│') +
    columns.map(({ align }, index) => ` ${pad(row[index] ?? '', widths[index] ?? 0, align)} `).join(dim('│')) +
    dim('│');
  return [
    rule('┌', '┬', '┐'),
    line(columns.map(({ title }) => bold(title))),
    rule('├', '┼', '┤'),
    ...rows.map(line),
    rule('└', '┴', '┘'),
  ].join('\n');
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - cells(text)));
  return align === 'left' ? text + space : space + text;
}

/** @returns how many cells of a terminal a text takes. */
function cells(text: string): number {
  const shown = text.includes('\x1b') ? stripVTControlCharacters(text) : text;
  if (NARROW_ONLY.test(shown)) return shown.length;
  wide ??= new RegExp(WIDE, 'u');
  mark ??= /\p{Mark}/u;
  let count = 0;
  for (const character of shown) if (!mark.test(character)) count += wide.test(character) ? 2 : 1;
  return count;
}
