import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { forTerminal, plain, plainLines } from '../../../src/cli/render/plain.ts';

const ESC = '\u001b';

describe('text that others have a say in', () => {
  const rows: readonly (readonly [what: string, given: string, shown: string])[] = [
    ['that is harmless stays', 'größe\tπ 日本語 👩‍💻 ─', 'größe\tπ 日本語 👩‍💻 ─'],
    ['loses its colours', `${ESC}[1;31mred${ESC}[0m`, 'red'],
    ['clears no screen', `a${ESC}[2J${ESC}[H`, String.raw`a\u001b[2J\u001b[H`],
    [
      'sets no title and no clipboard',
      `${ESC}]0;x\u0007${ESC}]52;c;eA==\u0007`,
      String.raw`\u001b]0;x\u0007\u001b]52;c;eA==\u0007`,
    ],
    ['has no commands of eight bits', '\u009b2J', String.raw`\u009b2J`],
    ['goes back to no start of the line', 'bad\rgood', String.raw`bad\u000dgood`],
    ['may come from Windows', 'line\r', 'line'],
    ['begins no line of its own', 'a\n✓ b started', String.raw`a\n✓ b started`],
    ['is not drawn backwards', 'a\u202eb', String.raw`a\u202eb`],
    ['hides nothing', 'a\u200bb\ufeff', String.raw`a\u200bb\ufeff`],
  ];
  for (const [what, given, shown] of rows) test(what, () => assert.equal(plain(given), shown));

  test('may have several lines where that is meant', () => {
    assert.equal(plainLines(`a\n${ESC}[2Jb`), `a\n${String.raw`\u001b`}[2Jb`);
  });
});

describe('what goes to a terminal', () => {
  test('keeps colours and lines, and nothing else that commands it', () => {
    assert.equal(
      forTerminal(`${ESC}[32m✓${ESC}[39m a\r\n\tb${ESC}[2J${ESC}]0;x\u0007\u009b1m`),
      `${ESC}[32m✓${ESC}[39m a\n\tb${String.raw`\u001b[2J\u001b]0;x\u0007\u009b1m`}`,
    );
  });

  test('of JSON stays the same JSON', () => {
    const value = { name: 'a\u009b2J\u202e\u200b', text: `${ESC}[2J` };
    assert.deepEqual(JSON.parse(forTerminal(JSON.stringify(value))), value);
  });
});
