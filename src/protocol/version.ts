declare const __UPKEEP_VERSION__: string;

/** Set at build time from package.json. */
export const VERSION: string = __UPKEEP_VERSION__;
