/**
 * The first new instance of a rollout is on trial once it is ready: it serves beside the old ones, and no old one goes
 * and no other new one starts before it has passed. A build that cannot stay up shows that within moments.
 */

const LEAST_MS = 500;
const MOST_MS = 2000;
/** So many answers, all of them errors, are no chance. */
const MANY_ERRORS = 5;
/** What an app says on purpose, as while its maintenance lasts. */
const UNAVAILABLE = 503;

/** What is known of one on trial. */
export interface TrialSight {
  /** Nothing of its start is pending. */
  readonly settled: boolean;
  readonly answers: Answers;
}

/** To HTTP requests. */
export interface Answers {
  /** One was below 500. */
  readonly well: boolean;
  /** One was 503. */
  readonly unavailable: boolean;
  /** The others, as far as they count. */
  readonly errors: readonly number[];
}

export const NO_ANSWERS: Answers = { well: false, unavailable: false, errors: [] };

/** @returns the same where one more tells nothing new. */
export function addAnswer(answers: Answers, status: number): Answers {
  const { well, unavailable, errors } = answers;
  if (status < 500) return well ? answers : { ...answers, well: true };
  if (status === UNAVAILABLE) return unavailable ? answers : { ...answers, unavailable: true };
  return errors.length >= MANY_ERRORS ? answers : { ...answers, errors: [...errors, status] };
}

/** How long a trial takes. @param canaryMs for how long it is to be watched as a canary; 0 for none. */
export function trialTimes(canaryMs: number): { readonly leastMs: number; readonly mostMs: number } {
  return { leastMs: Math.max(LEAST_MS, canaryMs), mostMs: Math.max(MOST_MS, canaryMs) };
}

/** Whether it need not be watched any longer, once the least time is over. */
export function passesEarly({ settled, answers }: TrialSight): boolean {
  const { well, unavailable, errors } = answers;
  return !unavailable && errors.length === 0 && (settled || well);
}

/** @returns why it has not passed, though it stayed up; null where it has. */
export function whyNotPassed({ well, unavailable, errors }: Answers): string | null {
  if (well || unavailable || errors.length < MANY_ERRORS) return null;
  return `it stayed up, but answered every request with an error (${[...new Set(errors)].join(', ')})`;
}
