import { ConfigurationError } from "./errors.ts";
import { quote } from "./names.ts";

/** One setting: how its environment variable reads, and what an option of the same meaning may be. */
export interface Setting<T> {
  /** The environment variable. */
  readonly variable: string;
  readonly default: T;
  /** What the variable may be, in words: "seconds from 0.1 to 3600, or none". */
  readonly allowed: string;
  /** What an option in code may be, in words: "milliseconds from 100 to 3600000, or null". */
  readonly allowedOption: string;
  /** The value may hold a password, so errors do not show it. */
  readonly secret?: boolean;
  /** The value a text stands for, or undefined if it is not understood. */
  parse(text: string): T | undefined;
  accepts(value: unknown): value is T;
}

/**
 * Reads a setting from the environment; an unset or blank variable gives the default.
 *
 * @throws ConfigurationError naming the variable, its value and what is allowed.
 */
export function readSetting<T>(env: NodeJS.ProcessEnv, setting: Setting<T>): T {
  const text = env[setting.variable]?.trim();
  if (text === undefined || text === "") return setting.default;
  const value = setting.parse(text);
  if (value === undefined || !setting.accepts(value)) {
    throw new ConfigurationError(
      `${setting.variable} is ${setting.secret ? "(hidden)" : quote(text)}, but must be ${setting.allowed}.`,
    );
  }
  return value;
}

/**
 * Checks the option `name`; undefined gives the default.
 *
 * @throws TypeError or RangeError naming the option, its value and what is allowed.
 */
export function checkSetting<T>(name: string, value: unknown, setting: Setting<T>): T {
  if (value === undefined) return setting.default;
  if (setting.accepts(value)) return value;
  const message = `${name} must be ${setting.allowedOption}, not ${setting.secret ? "what was given" : show(value)}.`;
  throw typeof value === typeof setting.default ? new RangeError(message) : new TypeError(message);
}

/** Seconds in the environment, milliseconds in code. `none` and null stand for "off" where `off` is set. */
export function duration(
  variable: string,
  defaultMs: number,
  { minMs, maxMs }: Range,
): Setting<number> {
  return {
    variable,
    default: defaultMs,
    allowed: `seconds from ${minMs / 1000} to ${maxMs / 1000}`,
    allowedOption: `milliseconds from ${minMs} to ${maxMs}`,
    parse: (text) => {
      const seconds = parseNumber(text);
      return seconds === undefined ? undefined : seconds * 1000;
    },
    accepts: (value): value is number => isBetween(value, minMs, maxMs),
  };
}

interface Range {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A whole number, in the environment as in code. */
export function wholeNumber(
  variable: string,
  defaultValue: number,
  min: number,
  max: number,
  meaning = "",
): Setting<number> {
  const allowed = `a whole number from ${min} to ${max}${meaning}`;
  return {
    variable,
    default: defaultValue,
    allowed,
    allowedOption: allowed,
    parse: parseNumber,
    accepts: (value): value is number => isBetween(value, min, max) && Number.isInteger(value),
  };
}

/** A number between 0 and 1. */
export function fraction(variable: string, defaultValue: number): Setting<number> {
  return {
    variable,
    default: defaultValue,
    allowed: "a number from 0 to 1",
    allowedOption: "a number from 0 to 1",
    parse: parseNumber,
    accepts: (value): value is number => isBetween(value, 0, 1),
  };
}

export function flag(variable: string, defaultValue: boolean): Setting<boolean> {
  return {
    variable,
    default: defaultValue,
    allowed: "true or false",
    allowedOption: "true or false",
    parse: (text) => FLAGS.get(text.toLowerCase()),
    accepts: (value): value is boolean => typeof value === "boolean",
  };
}

/** `setting`, or off: `none` in the environment, null in code. */
export function optional<T>(setting: Setting<T>, defaultValue: T | null): Setting<T | null> {
  return {
    ...setting,
    default: defaultValue,
    allowed: `${setting.allowed}, or none`,
    allowedOption: `${setting.allowedOption}, or null`,
    parse: (text) => (text.toLowerCase() === "none" ? null : setting.parse(text)),
    accepts: (value): value is T | null => value === null || setting.accepts(value),
  };
}

const FLAGS = new Map([
  ["true", true],
  ["1", true],
  ["yes", true],
  ["on", true],
  ["false", false],
  ["0", false],
  ["no", false],
  ["off", false],
]);

/** Plain decimal only: `Number` alone would also take "", "0x10" and "Infinity". */
function parseNumber(text: string): number | undefined {
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function isBetween(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null)
    return String(value);
  return typeof value;
}
