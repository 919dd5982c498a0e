import { inspect } from "node:util";
import type { Logger } from "./logger.ts";

/**
 * A logger on stderr, if `wanted` (what the variable `DEBUG` is set to, a list of names with commas or spaces between)
 * names roomcast or all; else null.
 */
export function debugLogger(wanted: string | undefined): Logger | null {
  const names = (wanted ?? "").split(/[\s,]+/);
  if (!names.some((name) => name === "*" || name === "roomcast" || name === "roomcast:*")) {
    return null;
  }
  const at =
    (level: string) =>
    (fields: object, message: string): void => {
      const shown = inspect(fields, { breakLength: Number.POSITIVE_INFINITY, compact: true });
      console.error(`roomcast ${new Date().toISOString()} ${level} ${message} ${shown}`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
