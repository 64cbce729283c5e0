import { runCommand } from './command.mjs';
import { baseEnvironment } from './environment.mjs';

const CONNECTIONS = 32;

export const whyNoWrk = async () => {
  try {
    await runCommand(['sh', '-c', 'command -v wrk'], { env: baseEnvironment() });
    return undefined;
  } catch {
    return 'wrk is not installed (apt-get install wrk, or brew install wrk)';
  }
};

/** Requests per second. */
export const load = async (port, { seconds, headers = [] }) => {
  const options = ['-t', '1', '-c', String(CONNECTIONS), '-d', `${seconds}s`];
  const argv = ['wrk', ...options, ...headers.flatMap((header) => ['-H', header]), `http://127.0.0.1:${port}/`];
  const { output } = await runCommand(argv, { env: baseEnvironment(), limitMs: (seconds + 30) * 1000 });
  const failed = /^\s*(Socket errors|Non-2xx).*$/m.exec(output);
  if (failed) throw new Error(`under load: ${failed[0].trim()}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]);
};
