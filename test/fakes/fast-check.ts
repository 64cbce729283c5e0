import { configureGlobal } from 'fast-check';

export * from 'fast-check';

/** The same inputs each time: what is tested is what was changed. `UPKEEP_SEED=$RANDOM npm test unit` tries others. */
configureGlobal({ seed: Number(process.env['UPKEEP_SEED'] ?? 1) });
