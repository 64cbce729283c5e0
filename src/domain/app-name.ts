const LONGEST = 200;

/** Control characters, halves of characters, line ends, and what makes a terminal draw the text in another order. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/**
 * Names stand in commands, in lists and in the names of files.
 * @returns why a text cannot be the name of an app, or of a namespace; null where it can.
 */
export function nameProblem(name: string): string | null {
  if (name === '') return 'must not be empty';
  if (name.length > LONGEST) return `expected at most ${LONGEST} characters`;
  if (UNPRINTABLE.test(name)) return 'must not hold control characters';
  if (name.trim() !== name) return 'must not begin or end with white space';
  // What a selector would take for something else.
  return /^(all|-.*|\/.*\/[a-z]*)$/.test(name) ? 'must not be all, /.../, or begin with -' : null;
}
