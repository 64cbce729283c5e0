import type { Clock } from '../supervisor/ports.ts';

/** Timers are capped by what setTimeout can hold, about 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** The wall clock is followed where it was set; that it is kept right by little changes no time that was told. */
const SET_BY_MS = 1000;

let epochMs = measuredEpoch();

export const systemClock: Clock = {
  now,
  epoch: () => {
    const measured = measuredEpoch();
    if (Math.abs(measured - epochMs) > SET_BY_MS) epochMs = measured;
    return epochMs;
  },
  after: (ms, action) => {
    const timer = setTimeout(action, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  },
};

/** CLOCK_MONOTONIC, which all processes share. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + Math.round(nanoseconds / 1e6);
}

function measuredEpoch(): number {
  return Date.now() - now();
}
