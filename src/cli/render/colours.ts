import { inspect } from 'node:util';
import { isTerminal } from '../is-terminal.ts';

/** As no-color.org has it, and pm2's --no-color. Asked once: stdout does not change. */
const enabled = decide();

export const green = style('green');
export const red = style('red');
export const yellow = style('yellow');
export const gray = style('gray');
export const dim = style('dim');
export const bold = style('bold');

/** Of a text that was looked for. */
export const highlighted = style('inverse');
/** They tell apps apart: neither red, which tells of errors, nor hard to read. */
export const OF_APPS: readonly Style[] = [
  style('cyan'),
  style('magenta'),
  style('green'),
  style('yellow'),
  style('blue'),
  style('cyanBright'),
  style('magentaBright'),
  style('greenBright'),
  style('yellowBright'),
  style('blueBright'),
];

type Style = (text: string) => string;

/** Not by `styleText`, which looks at stdout first, and makes it: that takes longer than all of `list`. */
function style(format: string): Style {
  const [on, off] = inspect.colors[format] ?? [0, 0];
  return (text) => (enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text);
}

function decide(): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR || process.argv.includes('--no-color')) return false;
  return Boolean(FORCE_COLOR) || (isTerminal(1) && TERM !== 'dumb');
}
