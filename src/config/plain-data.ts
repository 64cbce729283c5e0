/** Deeper than anyone writes; what holds itself is deeper. */
const MOST_LEVELS = 100;

/**
 * Copies what a configuration file gives into plain objects and lists, so that nothing in it can surprise who reads it:
 * getters, proxies, `toJSON`, circles.
 * @throws Error when such a thing throws, or what is nested too deep.
 */
export function plainData(value: unknown, level = 0): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (level > MOST_LEVELS) throw new Error(`it is nested more than ${MOST_LEVELS} levels deep, or holds itself`);
  if (Array.isArray(value)) return Array.from(value, (inner) => plainData(inner, level + 1));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return plainData(toJSON.call(value), level + 1);
  // Not by assignment, which `__proto__` would make something else of.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainData(inner, level + 1)]));
}
