/**
 * A file that is read often, and can be done without, holds its content twice: to compare the halves takes no time, and
 * tells a file that is cut or damaged anywhere from a whole one.
 */
export function doubled(content: Buffer): Buffer {
  return Buffer.concat([content, content]);
}

/** @returns what was doubled; null for anything else. */
export function halved(file: Buffer): Buffer | null {
  const half = file.length / 2;
  const content = file.subarray(0, half);
  return Number.isInteger(half) && content.equals(file.subarray(half)) ? content : null;
}
