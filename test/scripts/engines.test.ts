import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface Package {
  readonly engines?: { readonly node?: string };
  readonly optional?: boolean;
}

/** Of a range such as `^20.19.0 || >=22.12.0`. */
function allows(range: string, [major, minor]: readonly [number, number]): boolean {
  return range.split('||').some((part) => {
    const [, sign, from, above = '0'] = /^\s*(\^|>=)?\s*v?(\d+)(?:\.(\d+|x))?/.exec(part) ?? [];
    if (from === undefined) return part.trim() === '*';
    if (Number(from) !== major) return sign === '>=' && Number(from) < major;
    return above === 'x' || Number(above) <= minor;
  });
}

test('npm install warns of no engine: all packages run on the oldest Node.js that upkeep runs on', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Package> };
  const newer = Object.entries(packages)
    .filter(([, { optional, engines }]) => !optional && !allows(engines?.node ?? '*', [20, 19]))
    .map(([path, { engines }]) => `${path} ${engines?.node}`);
  assert.ok(packages['node_modules/esbuild']);
  assert.deepEqual(newer, []);
});
