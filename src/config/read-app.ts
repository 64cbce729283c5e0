import * as v from 'valibot';
import { UpkeepError } from '../protocol/errors.ts';
import { type AppOptions, knownKeys, meaningOf, SCHEMAS } from './options.ts';
import { suggest } from './suggest.ts';
import { env as envSchema } from './values.ts';

export interface ReadApp {
  readonly options: AppOptions;
  /** The `env_<name>` blocks, by name. */
  readonly environments: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly warnings: readonly string[];
}

/**
 * Checks what a file says of one app.
 * @param where names the app in messages, such as `ecosystem.config.js, app "api"`.
 * @throws UpkeepError CONFIG_INVALID that names the key, what came and what was expected.
 */
export function readApp(raw: unknown, where: string): ReadApp {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new UpkeepError('CONFIG_INVALID', `${where}: expected an object of options, got ${show(raw)}`);
  }
  const options: Record<string, unknown> = {};
  const environments: Record<string, Record<string, string>> = {};
  const warnings: string[] = [];
  for (const [key, given] of Object.entries(raw)) {
    if (given === undefined || given === null) continue;
    const meaning = meaningOf(key);
    switch (meaning.kind) {
      case 'option':
        options[meaning.name] = check(SCHEMAS[meaning.name] as v.GenericSchema, given, key, where);
        break;
      case 'env':
        environments[meaning.environment] = check(envSchema, given, key, where);
        break;
      case 'not-yet':
        if (given !== false && given !== 0 && given !== '0')
          warnings.push(`${where}: ${key} is not supported yet, and ignored`);
        break;
      case 'without-meaning':
        break;
      case 'unknown':
        throw unknownKey(key, where);
    }
  }
  return { options, environments, warnings };
}

function check<T>(schema: v.GenericSchema<unknown, T>, given: unknown, key: string, where: string): T {
  const result = v.safeParse(schema, given);
  if (result.success) return result.output;
  const [issue] = result.issues;
  // The values of variables are secrets.
  const isEnv = schema === (envSchema as unknown);
  // Of a key that is not known, the message tells the name.
  const path = issue.expected === 'never' ? '' : (v.getDotPath(issue) ?? '');
  const got = isEnv ? '' : `, got ${show(path === '' ? given : issue.input)}`;
  throw new UpkeepError(
    'CONFIG_INVALID',
    `${where}: ${brief(key)}${path && `.${brief(path)}`}: ${issue.message}${got}`,
  );
}

function unknownKey(key: string, where: string): UpkeepError {
  const nearest = suggest(brief(key), knownKeys());
  const hint = nearest ? `did you mean ${nearest}?` : 'docs/configuration.md lists the options';
  return new UpkeepError('CONFIG_INVALID', `${where}: there is no option "${brief(key)}"`, { hint });
}

/** A value, for messages. */
export function show(given: unknown): string {
  return brief(JSON.stringify(given) ?? String(given));
}

/** A word, for messages. */
export function brief(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
