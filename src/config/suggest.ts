import { closest, distance } from 'fastest-levenshtein';

/** @returns the known word that a misspelt one most likely means, or null when none is near. */
export function suggest(word: string, known: readonly string[]): string | null {
  if (known.length === 0) return null;
  const nearest = closest(word, known);
  return distance(word, nearest) <= Math.max(1, Math.floor(nearest.length / 3)) ? nearest : null;
}
