/** @param pid negative for a process group. @returns false when there is no such process, or it is not ours. */
export function sendSignal(pid: number, signal: string | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
