import { IMPORTS_URL } from '../protocol/ipc.ts';

const TAKES_MODULES = /^--(import|loader|experimental-loader)\b/;

/** The options of Node that load the bootstrap, to stand between the app's own options and its script. */
export function bootstrapArguments(
  bootstrap: string,
  interpreterArgs: readonly string[],
  env: Readonly<Record<string, string>>,
): string[] {
  const options = [...interpreterArgs, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  const marker = options.some((option) => TAKES_MODULES.test(option)) ? ['--import', IMPORTS_URL] : [];
  return ['--require', bootstrap, ...marker];
}
