/**
 * What a terminal would take for a command, and what makes it draw text in another order, or not at all. Line feeds and
 * tabs are none of it; a carriage return is, but for one that ends a line.
 */
const COMMANDS = new RegExp(
  // The first line is \p{Cc} but for \n and \t, spelt out as a class by name takes V8 a millisecond to look up.
  String.raw`[\x00-\x08\x0b-\x1f\x7f-\x9f` + String.raw`\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]`,
);
const COLOURS = new RegExp(String.raw`\u001b\[[\d;:]*m`);
const LINE_END = /\r(?=\n|$)/g;
const ANY_COMMAND = new RegExp(COMMANDS, 'g');
const ANY_COLOUR = new RegExp(COLOURS, 'g');
const COLOUR_OR_COMMAND = new RegExp(`${COLOURS.source}|${COMMANDS.source}`, 'g');

/** Makes text that others have a say in fit to stand in a line of ours. Colours are dropped, the rest becomes visible. */
export function plain(text: string): string {
  return plainLines(text).replaceAll('\n', String.raw`\n`);
}

/** The same, for what may have several lines. */
export function plainLines(text: string): string {
  if (!COMMANDS.test(text)) return text;
  return text.replace(ANY_COLOUR, '').replace(LINE_END, '').replace(ANY_COMMAND, visible);
}

/** The last thing before a terminal: nothing but colours gets through. What it changes in JSON stays JSON. */
export function forTerminal(text: string): string {
  return text.replace(LINE_END, '').replace(COLOUR_OR_COMMAND, (found) => (found.length > 1 ? found : visible(found)));
}

function visible(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
