import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { closeLater, throwIfInterrupted } from './cleanup.mjs';
import { baseEnvironment } from './environment.mjs';
import { killHard } from './processes.mjs';

const apps = join(dirname(import.meta.dirname), 'apps');
const LINE = /^(\d{9}) the quick brown fox jumps over the lazy dog, and runs on until the line is full \.$/;
const LIMIT_MS = 120_000;
const POLL_MS = 5;
const QUIET_MS = 3000;

export const whyNoWriter = async () => {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'there is no C compiler (cc) for the program that writes the lines';
  }
};

/** A folder with the program that writes lines, while it is used. */
export const withWriter = async (use) => {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-bench-logs-'));
  const remove = closeLater(async () => rmSync(folder, { recursive: true, force: true }));
  try {
    const writer = join(folder, 'writes-lines');
    execFileSync('cc', ['-O2', '-o', writer, join(apps, 'writes-lines.c')]);
    return await use({ folder, writer });
  } finally {
    await remove();
  }
};

/** The files of a log, what was set aside first; pm2 knows none of that. */
const filesOf = (log) => {
  const name = basename(log);
  const files = existsSync(dirname(log)) ? readdirSync(dirname(log)) : [];
  const rotated = files.filter((file) => file.startsWith(`${name}.2`) && !file.endsWith('.part')).toSorted();
  return [...rotated.map((file) => join(dirname(log), file)), ...(files.includes(name) ? [log] : [])];
};

/** How much a log holds, before it was compressed. */
export const bytesOf = (log) => filesOf(log).reduce((sum, file) => sum + bytesIn(file), 0);

const bytesIn = (file) => {
  try {
    const bytes = file.endsWith('.gz') ? readFileSync(file) : undefined;
    // The last four bytes of a gzip tell.
    return bytes ? bytes.readUInt32LE(bytes.length - 4) : statSync(file).size;
  } catch {
    // Compressed, or removed, just then.
    return 0;
  }
};

const textOf = (file) => {
  // Compressed just then.
  const there = existsSync(file) ? file : `${file}.gz`;
  const bytes = readFileSync(there);
  return (there.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
};

/** How the lines in a log differ from those that were written. `message` takes the line out of what the log has. */
export const checkLines = (log, count, message = (line) => line) => {
  const seen = new Uint8Array(count + 1);
  const report = { lost: 0, doubled: 0, torn: 0, disordered: 0, gaps: 0 };
  let rest = '';
  let last = 0;
  for (const file of filesOf(log)) {
    const lines = (rest + textOf(file)).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const text = message(line);
      if (text.startsWith('upkeep: ')) report.gaps += text.includes('supervisor was killed') ? 1 : 0;
      else {
        const number = Number(LINE.exec(text)?.[1]);
        if (!(number <= count)) report.torn += 1;
        else {
          report.doubled += seen[number];
          seen[number] = 1;
          if (number < last) report.disordered += 1;
          last = number;
        }
      }
    }
  }
  for (let number = 1; number <= count; number += 1) report.lost += 1 - seen[number];
  return report;
};

const until = async (holds, what) => {
  const deadline = performance.now() + LIMIT_MS;
  while (!holds()) {
    throwIfInterrupted();
    if (performance.now() > deadline) throw new Error(`not within ${LIMIT_MS} ms: ${what()}`);
    await sleep(POLL_MS);
  }
};

/** All lines have the same length, whatever the format; 0 where there is none. */
const lengthOfLines = (log) => {
  let fd;
  try {
    fd = openSync(log, 'r');
    const start = Buffer.alloc(4096);
    return start.subarray(0, readSync(fd, start)).indexOf(10) + 1;
  } catch {
    // Not there yet, or set aside just then.
    return 0;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
};

const isComplete = (log, count) => {
  const length = lengthOfLines(log);
  return length > 0 && bytesOf(log) >= length * count;
};

/** Lets writers that are ready begin at once, and waits until all that they write is in their logs. @returns the time. */
const timeWriters = async ({ logs, count, go }) => {
  const names = logs.map(nameOf);
  await until(
    () => names.every((name) => existsSync(`${name}.ready`)),
    () => 'the start of all writers',
  );
  writeFileSync(go, '');
  let seen = -1;
  let at = 0;
  // Not all managers keep all lines: it is over too when nothing has come for a while.
  await until(
    () => {
      const now = performance.timeOrigin + performance.now();
      const bytes = logs.reduce((sum, log) => sum + bytesOf(log), 0);
      if (bytes !== seen) at = now;
      seen = bytes;
      const hasEnded = names.every((name) => existsSync(name)) && now - at > QUIET_MS;
      return hasEnded || logs.every((log) => isComplete(log, count));
    },
    () => `${logs.map(bytesOf).join(', ')} bytes are there`,
  );
  const began = (name) => (existsSync(name) ? Number(readFileSync(name, 'utf8')) : 0);
  await until(
    () => names.every(began),
    () => 'the end of all writers',
  );
  return at - Math.min(...names.map(began));
};

const nameOf = (log) => `${log}.writer`;
const logsIn = (folder, instances) => Array.from({ length: instances }, (_, index) => join(folder, `${index}.log`));

/** The lines per second of all writers together, without a manager: straight into files, or by the least that reads pipes. */
export const writeBare = async ({ writer, folder, count, chunk, instances, throughPipes }) => {
  const own = mkdtempSync(join(folder, 'bare-'));
  const go = join(own, 'go');
  const logs = logsIn(own, instances);
  const pipes = logs.map((log) => `${log}.fifo`);
  const started = [];
  try {
    if (throughPipes) {
      execFileSync('mkfifo', pipes);
      const args = [join(apps, 'reads-pipes.cjs'), ...pipes.flatMap((pipe, index) => [pipe, logs[index]])];
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'];
      const reader = spawn(process.execPath, args, { stdio, env: baseEnvironment(), detached: true });
      started.push(reader);
      await once(reader, 'message');
    }
    for (const [index, log] of logs.entries()) {
      const fd = openSync(throughPipes ? pipes[index] : log, throughPipes ? 'r+' : 'w');
      const args = [nameOf(log), String(count), String(chunk), go];
      started.push(spawn(writer, args, { stdio: ['ignore', fd, 'inherit'], detached: true }));
      closeSync(fd);
    }
    return (count * instances * 1000) / (await timeWriters({ logs, count, go }));
  } finally {
    killHard(started.map(({ pid }) => pid));
    rmSync(own, { recursive: true, force: true, maxRetries: 5 });
  }
};

/**
 * The same through a manager.
 * @param interpreter of the writer; `none` for a program that runs by itself.
 * @param flags of its start.
 * @param meanwhile does something while they write.
 * @param look gets the logs while they are there.
 */
export const writeManaged = async (side, options) => {
  const {
    writer,
    folder,
    count,
    chunk,
    instances,
    interpreter = 'none',
    flags = [],
    meanwhile,
    look = () => ({}),
  } = options;
  const own = mkdtempSync(join(folder, `${side.name}-`));
  const go = join(own, 'go');
  const logs = logsIn(own, instances);
  try {
    for (const [index, log] of logs.entries()) {
      const options = [
        '--name',
        `writer-${index}`,
        '--interpreter',
        interpreter,
        '--no-autorestart',
        '-e',
        '/dev/null',
      ];
      await side.run([
        'start',
        writer,
        ...options,
        '-o',
        log,
        ...flags,
        '--',
        nameOf(log),
        String(count),
        String(chunk),
        go,
      ]);
    }
    const done = meanwhile?.(...logs);
    const ms = await timeWriters({ logs, count, go });
    await done;
    return { lines: (count * instances * 1000) / ms, ...look(logs) };
  } finally {
    await side.run(['delete', ...logs.map((_, index) => `writer-${index}`)]).catch(() => {});
    rmSync(own, { recursive: true, force: true, maxRetries: 5 });
  }
};
