import { types } from 'node:util';
import type { Random } from './random.ts';

/** What programs stumble over, as text. */
const TOKENS: readonly string[] = [
  [
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    ',',
    ':',
    '\n',
    '\r\n',
    '\0',
    '\\',
    '\\u0000',
    '\\ud800',
    '%',
    '$',
    '`',
    ' ',
    '-',
    '--',
  ],
  ['=', 'null', 'true', 'false', '0', '-0', '-1', '1e999', '1e-999', '0.1', '9007199254740993', '9'.repeat(20), 'NaN'],
  ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', 'then', 'toJSON', 'valueOf'],
  ['\u{feff}', '\u2028', '\u202e', 'İ', 'ß', '🎉', '\ud800', 'e\u0301'],
  ['&a', '*a', '<<: ', '!!js/function', '!!binary ', '- ', '? ', '|\n', '>\n', '#', '---\n', '%YAML 9.9\n', '\t'],
].flat();

const NUMBERS: readonly number[] = [
  [0, -0, 1, -1, 0.5, 255, 256, 65_535, 65_536],
  [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 1e21, 1e308, 5e-324, -(2 ** 31)],
].flat();

/** What stands where something else was expected. JSON can hold all of it. */
const ODD: readonly (readonly unknown[])[] = [
  [null, true, false, '', ' ', '0', 'x', 'null', '[object Object]', [], {}, [[]], [null], { a: 1 }, { length: -1 }],
  [{ toString: 1 }, { toJSON: 1 }, { constructor: { prototype: null } }],
  ['x'.repeat(300), 'x'.repeat(70_000), '../'.repeat(20), '\u0000', '\ud800', 'ö'.repeat(150)],
];
const VALUES: readonly unknown[] = ODD.flat();

const KEYS: readonly string[] = TOKENS.filter((token) => /^\w+$/.test(token));

/** Changes some bytes; now and then a great many. */
export function mutateBytes(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  let mutated = bytes;
  for (let left = 1 + random.below(4); left > 0; left--) mutated = mutateOnce(random, mutated, others);
  return mutated;
}

export function mutateText(random: Random, text: string, others: readonly string[]): string {
  const parts = others.map((other) => Buffer.from(other));
  return mutateBytes(random, Buffer.from(text), parts).toString('utf8');
}

function mutateOnce(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const at = random.below(bytes.length + 1);
  const length = Math.min(1 + random.below(random.chance(0.3) ? bytes.length + 1 : 8), bytes.length - at);
  const [head, range, tail] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  switch (random.below(9)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([head, tail]);
    case 2:
      return head;
    case 3:
      return Buffer.concat([head, range, range, tail]);
    case 4: {
      const times = random.chance(0.02) ? 4000 : 2 + random.below(50);
      return Buffer.concat([head, ...Array<Buffer>(times).fill(range.subarray(0, 64)), tail]);
    }
    case 5:
      return Buffer.concat([head, Buffer.from(random.pick(TOKENS)), tail]);
    case 6:
      return Buffer.concat([
        head,
        Buffer.from(Array.from({ length: 1 + random.below(8) }, () => random.below(256))),
        tail,
      ]);
    case 7: {
      const other = others.length > 0 ? random.pick(others) : bytes;
      const from = random.below(other.length + 1);
      return Buffer.concat([head, other.subarray(from, from + 1 + random.below(other.length)), tail]);
    }
    default:
      return replaceNumber(random, bytes);
  }
}

function replaceNumber(random: Random, bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  const numbers = [...text.matchAll(/-?\d+(\.\d+)?/g)];
  if (numbers.length === 0) return bytes;
  const { 0: old, index } = random.pick(numbers);
  return Buffer.from(`${text.slice(0, index)}${random.pick(NUMBERS)}${text.slice(index + old.length)}`, 'latin1');
}

/**
 * Changes some places of a value.
 * @param strange values besides those that JSON can hold.
 */
export function mutateValue(random: Random, value: unknown, strange: readonly (() => unknown)[] = []): unknown {
  let mutated = structuredClone(value);
  for (let left = 1 + random.below(3); left > 0; left--) mutated = mutatePlace(random, mutated, strange);
  return mutated;
}

/** The same of JSON. What is none, or gets nested too deep to be written, stays as it is. */
export function mutateJson(random: Random, json: string): string {
  try {
    return JSON.stringify(mutateValue(random, JSON.parse(json) as unknown));
  } catch {
    return json;
  }
}

function mutatePlace(random: Random, value: unknown, strange: readonly (() => unknown)[]): unknown {
  const keys = isPlain(value) ? Object.keys(value) : [];
  if (keys.length === 0 || random.chance(0.15)) return otherValue(random, value, strange);
  const container = value as Record<string, unknown>;
  const key = random.pick(keys);
  if (random.chance(0.7)) {
    put(container, key, mutatePlace(random, container[key], strange));
    return container;
  }
  switch (random.below(4)) {
    case 0:
      delete container[key];
      break;
    case 1:
      put(container, random.chance(0.5) ? random.pick(KEYS) : `${key}${random.pick(TOKENS)}`, container[key]);
      break;
    case 2:
      put(container, key, container[random.pick(keys)]);
      break;
    default:
      if (Array.isArray(container)) container.push(...[...(container as unknown[])].slice(0, 20));
      else put(container, random.pick(KEYS), otherValue(random, null, strange));
  }
  return container;
}

/** What was put in for being strange is not changed further. */
function isPlain(value: unknown): value is object {
  if (Array.isArray(value)) return true;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return (
    !types.isProxy(value) && Object.values(Object.getOwnPropertyDescriptors(value)).every((field) => 'value' in field)
  );
}

/** As JSON.parse does: `__proto__` is a key like others. */
function put(container: Record<string, unknown>, key: string, value: unknown): void {
  if (Array.isArray(container) && key === 'length') return;
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
}

function otherValue(random: Random, value: unknown, strange: readonly (() => unknown)[]): unknown {
  if (strange.length > 0 && random.chance(0.4)) return random.pick(strange)();
  if (typeof value === 'string' && random.chance(0.6)) return mutateText(random, value, []);
  if (typeof value === 'number' && random.chance(0.6)) return random.pick(NUMBERS);
  if (random.chance(0.02)) return nested(random, 3000);
  return structuredClone(random.pick([...VALUES, random.pick(NUMBERS)]));
}

function nested(random: Random, depth: number): unknown {
  let value: unknown = 1;
  const inLists = random.chance(0.5);
  for (let level = 0; level < depth; level++) value = inLists ? [value] : { a: value };
  return value;
}
