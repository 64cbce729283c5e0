/**
 * How Node.js runs a daemon or a supervisor. V8 lets its young generation grow to 48 MB before it clears up, and the
 * time to start a process grows with the memory of the one that forks (0.1 ms a MB): see docs/limits.md.
 */
export const SMALL_HEAP: readonly string[] = ['--max-semi-space-size=2'];
