import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeFrame, FrameReader } from '../../src/protocol/framing.ts';
import * as fc from '../fakes/fast-check.ts';

const messages = [{ id: 1, method: 'list', params: {} }, { event: 'Grüße 🎉', data: ['a\nb', null, 1.5] }, 'text', 0];
const bytes = Buffer.from(messages.map(encodeFrame).join(''));
const malformed = { code: 'PROTOCOL_MALFORMED' };

test('a frame is one line of JSON', () => {
  assert.equal(encodeFrame({ text: 'a\nb' }), '{"text":"a\\nb"}\n');
});

describe('FrameReader', () => {
  test('reads what comes in one piece', () => {
    assert.deepEqual(new FrameReader().push(bytes), messages);
  });

  test('reads what is cut in two at any byte, inside a character too', () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new FrameReader();
      const first = reader.push(bytes.subarray(0, cut));
      assert.deepEqual([...first, ...reader.push(bytes.subarray(cut))], messages, `cut at ${cut}`);
    }
  });

  test('reads what comes byte by byte', () => {
    const reader = new FrameReader();
    assert.deepEqual(
      [...bytes].flatMap((byte) => reader.push(Buffer.of(byte))),
      messages,
    );
  });

  test('reads any values in any chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat(40), { minLength: 1 }), (values, sizes) => {
        const stream = Buffer.from(values.map(encodeFrame).join(''));
        const reader = new FrameReader();
        const read: unknown[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = 1 + (sizes[turn % sizes.length] ?? 0);
          read.push(...reader.push(stream.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(
          read,
          values.map((value) => JSON.parse(JSON.stringify(value))),
        );
      }),
    );
  });

  test('empty lines, as a person at a socket sends, are no frames', () => {
    assert.deepEqual(new FrameReader().push(Buffer.from('\n \r\n1\r\n\n')), [1]);
  });

  test('says how garbage starts', () => {
    const text = `GET / HTTP/1.1 ${'x'.repeat(100)}\n`;
    assert.throws(() => new FrameReader().push(Buffer.from(text)), {
      ...malformed,
      message: `a frame is no JSON, it starts with "${text.slice(0, 40)}"`,
    });
  });

  test('refuses a frame that is too long, whole or unfinished', () => {
    const tooLong = { ...malformed, message: 'a frame is longer than 10 bytes' };
    assert.deepEqual(new FrameReader(10).push(Buffer.from('"12345678"\n')), ['12345678']);
    assert.throws(() => new FrameReader(10).push(Buffer.from('"123456789"\n')), tooLong);
    assert.throws(() => new FrameReader(10).push(Buffer.from('"1234567890')), tooLong);
  });

  test('refuses one that grows too long over many chunks', () => {
    const reader = new FrameReader(10);
    assert.throws(() => {
      for (let count = 0; count < 20; count++) reader.push(Buffer.from('a'));
    }, malformed);
  });

  test('the limit is of one frame, not of the stream', () => {
    const reader = new FrameReader(10);
    for (let count = 0; count < 100; count++) {
      assert.deepEqual(reader.push(Buffer.from('"1234"\n"12')), ['1234']);
      assert.deepEqual(reader.push(Buffer.from('"\n')), ['12']);
    }
  });
});
