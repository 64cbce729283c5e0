import type { LogLine } from './read-lines.ts';

/** Puts lists of lines in the order of their times. Each keeps its own order; among equal times, the first list is first. */
export function mergeLines<Line extends LogLine>(lists: readonly (readonly Line[])[]): readonly Line[] {
  const keyed = lists.flatMap((lines) => {
    let last = Number.NEGATIVE_INFINITY;
    return lines.map((line) => {
      last = Math.max(last, line.time);
      return { at: last, line };
    });
  });
  return keyed.toSorted((a, b) => a.at - b.at).map(({ line }) => line);
}

interface Head<Line> {
  readonly blocks: AsyncIterator<readonly Line[]>;
  lines: readonly Line[];
  at: number;
}

/** The same for lists of any size, block by block. */
export async function* mergeStreams<Line extends LogLine>(
  streams: readonly AsyncIterable<readonly Line[]>[],
): AsyncGenerator<readonly Line[]> {
  const heads: Head<Line>[] = [];
  for (const blocks of streams) {
    const head: Head<Line> = { blocks: blocks[Symbol.asyncIterator](), lines: [], at: 0 };
    if (await advance(head)) heads.push(head);
  }
  while (heads.length > 0) {
    // What is as old as the end of any block at hand, or older, is in order.
    const until = Math.min(...heads.map(({ lines }) => lines.at(-1)?.time ?? 0));
    yield mergeLines(
      heads.map((head) => {
        const from = head.at;
        while (head.at < head.lines.length && (head.lines[head.at]?.time ?? 0) <= until) head.at++;
        return head.lines.slice(from, head.at);
      }),
    );
    for (const head of heads.filter(({ at, lines }) => at === lines.length)) {
      if (!(await advance(head))) heads.splice(heads.indexOf(head), 1);
    }
  }
}

/** @returns false at the end. */
async function advance<Line>(head: Head<Line>): Promise<boolean> {
  const { value, done } = await head.blocks.next();
  if (done) return false;
  head.lines = value;
  head.at = 0;
  return true;
}
