import { parseArgs } from "node:util";
import { ConfigurationError } from "../protocol/errors.ts";
import { readSetting, type Setting } from "../protocol/setting.ts";

/** What a command was told on its command line. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>;

/**
 * Parses the arguments of `roomcast <command>`.
 *
 * @throws ConfigurationError for one the command does not have.
 */
export function parseFlags(command: string, args: readonly string[], options: FlagOptions): Flags {
  return parse(command, args, options, false).flags;
}

/**
 * The same for a command that takes words besides flags.
 *
 * @throws ConfigurationError for a flag the command does not have.
 */
export function parseFlagsAndWords(
  command: string,
  args: readonly string[],
  options: FlagOptions,
): { readonly flags: Flags; readonly words: readonly string[] } {
  return parse(command, args, options, true);
}

type FlagOptions = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

function parse(
  command: string,
  args: readonly string[],
  options: FlagOptions,
  allowPositionals: boolean,
): { readonly flags: Flags; readonly words: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals });
    return { flags: values, words: positionals };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigurationError(`${why} See roomcast ${command} --help.`, { cause });
  }
}

/** A text from a flag, else from the environment, and which of the two; null if it is in neither. */
export function readText(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  flag: string,
  variable: string,
): { readonly name: string; readonly value: string } | null {
  const given = flags[flag];
  if (typeof given === "string") return { name: `--${flag}`, value: given };
  const value = env[variable]?.trim() ?? "";
  return value === "" ? null : { name: variable, value };
}

/**
 * A setting from a flag, else from the environment.
 *
 * @throws ConfigurationError naming the flag or variable, its value and what is allowed.
 */
export function readFlagOrSetting<T>(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  flag: string,
  setting: Setting<T>,
): T {
  const given = flags[flag];
  if (typeof given !== "string") return readSetting(env, setting);
  const variable = `--${flag}`;
  return readSetting({ [variable]: given }, { ...setting, variable });
}
