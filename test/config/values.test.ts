import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as v from 'valibot';
import * as values from '../../src/config/values.ts';
import * as fc from '../fakes/fast-check.ts';

/** Rows of [what stands in the file, what it means]. */
type Rows = readonly (readonly [given: unknown, meaning: unknown])[];

function accepts(kind: string, schema: v.GenericSchema, rows: Rows): void {
  for (const [given, meaning] of rows)
    test(`${kind} ${JSON.stringify(given)} is ${JSON.stringify(meaning)}`, () => {
      assert.deepEqual(v.parse(schema, given), meaning);
    });
}

function refuses(kind: string, schema: v.GenericSchema, givens: readonly unknown[], message: RegExp): void {
  for (const given of givens)
    test(`${kind} ${JSON.stringify(given) ?? String(given)} is refused`, () => {
      const result = v.safeParse(schema, given);
      assert.equal(result.success, false);
      assert.match(result.issues?.[0].message ?? '', message);
    });
}

describe('texts', () => {
  accepts('text', values.text, [['a', 'a']]);
  refuses('text', values.text, [1, true, {}, []], /expected a text/);
  refuses('text', values.text, [''], /must not be empty/);
  accepts('textOrNumber', values.textOrNumber, [
    ['a', 'a'],
    [1000, '1000'],
  ]);
  refuses('textOrNumber', values.textOrNumber, [true, {}], /expected a text or a number/);
});

describe('names', () => {
  accepts('name', values.name, [
    ['api', 'api'],
    [7, '7'],
  ]);
  refuses('name', values.name, [''], /must not be empty/);
  refuses('name', values.name, [true, {}], /expected a text or a number/);

  test('of 200 characters are the longest', () => {
    assert.equal(v.parse(values.name, 'x'.repeat(200)).length, 200);
    const { issues } = v.safeParse(values.name, 'x'.repeat(201));
    assert.equal(issues?.[0].message, 'expected at most 200 characters');
  });
});

describe('signals', () => {
  accepts('signal', values.signal, [
    ['SIGTERM', 'SIGTERM'],
    ['term', 'SIGTERM'],
    [15, 'SIGTERM'],
    ['15', 'SIGTERM'],
  ]);
  refuses('signal', values.signal, ['SIGFOO', '', 0, 999], /expected the name of a signal, such as SIGTERM/);
  refuses('signal', values.signal, [true, []], /expected a text or a number/);
});

describe('flags', () => {
  accepts('flag', values.flag, [
    [true, true],
    [false, false],
    ['true', true],
    ['false', false],
  ]);
  refuses('flag', values.flag, [1, 'yes', '', {}], /expected true or false/);
});

describe('counts', () => {
  accepts('count', values.count, [
    [0, 0],
    [5, 5],
    ['5', 5],
  ]);
  refuses('count', values.count, [1.5, 'many', '', '1.5', '-1', true, Number.NaN], /expected a whole number/);
  refuses('count', values.count, [-1], /must not be negative/);
});

describe('durations', () => {
  accepts('duration', values.duration, [
    [1500, 1500],
    ['1500', 1500],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['0.5ms', 1],
  ]);
  refuses(
    'duration',
    values.duration,
    ['1 day', '1w', 's', '-1s', 1.5, -1, true, '1,5s', ' 1s'],
    /expected (milliseconds|a whole number)|must not be negative/,
  );
});

describe('instances', () => {
  accepts('instances', values.instances, [
    ['max', 'max'],
    [4, 4],
    ['4', 4],
    [0, 0],
    [-1, -1],
    ['-1', -1],
  ]);
  refuses('instances', values.instances, ['all', '1.5', 1.5, '', true], /expected a whole number or "max"/);
});

describe('words', () => {
  accepts('words', values.words, [
    [
      ['a b', 1],
      ['a b', '1'],
    ],
    ['--port 80', ['--port', '80']],
    ['', []],
  ]);
  refuses(
    'words',
    values.words,
    [1, true, {}, [{}]],
    /expected a list of texts, or a text of at most 16384 characters/,
  );
});

describe('exit codes', () => {
  accepts('codes', values.codes, [
    [
      [0, 2],
      [0, 2],
    ],
    [
      ['0', '2'],
      [0, 2],
    ],
    [0, [0]],
    ['3', [3]],
    ['0,2', [0, 2]],
    ['0, 2 5', [0, 2, 5]],
  ]);
  refuses('codes', values.codes, ['', 'zero', '0,', true, [true]], /expected/);
});

describe('variables', () => {
  accepts('env', values.env, [
    [
      { A: 'text', B: 1, C: true, D: 0 },
      { A: 'text', B: '1', C: 'true', D: '0' },
    ],
    [{ A: null, B: undefined, C: '' }, { C: '' }],
    [{ A: { b: [1] } }, { A: '{"b":[1]}' }],
    [
      { A: [1, 'b', null], B: [] },
      { A: '[1,"b",null]', B: '[]' },
    ],
  ]);
  refuses('env', values.env, ['A=1', 1], /expected an object of variables/);

  test('may have any name', () => {
    const given = '{"constructor":"1","__proto__":"2","prototype":"3","toString":"4"}';
    assert.deepEqual(
      Object.entries(v.parse(values.env, JSON.parse(given))),
      Object.entries(JSON.parse(given) as object),
    );
  });
});

describe('one text of words', () => {
  const split = (line: string) => v.parse(values.words, line);
  const rows: readonly (readonly [line: string, words: readonly string[]])[] = [
    ['', []],
    ['  a   b\tc\n', ['a', 'b', 'c']],
    ['--name="my app" x', ['--name=my app', 'x']],
    [`'a b' "c d"`, ['a b', 'c d']],
    [`''`, ['']],
    [`a""b`, ['ab']],
    [String.raw`a\ b`, ['a b']],
    [String.raw`"a\"b"`, ['a"b']],
    [String.raw`"a\nb"`, [String.raw`a\nb`]],
    [String.raw`'a\b'`, [String.raw`a\b`]],
    [`"it's"`, [`it's`]],
    [`'say "hi"'`, ['say "hi"']],
  ];
  for (const [line, words] of rows) test(JSON.stringify(line), () => assert.deepEqual(split(line), words));

  test('gets back any words that a shell would quote', () => {
    const quoted = (word: string) => `'${word.replaceAll("'", `'"'"'`)}'`;
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        assert.deepEqual(split(words.map(quoted).join(' ')), words);
      }),
    );
  });
});
