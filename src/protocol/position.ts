import { BEGINNING } from "./roomcast-v1.ts";

/**
 * A place in the log of a durable room: when it was written, a number within that millisecond, and a
 * nonce that tells it from an entry of a log that was lost and begun anew.
 */
export interface Position {
  readonly ms: number;
  readonly sequence: number;
  readonly nonce: string;
}

/** The place before every entry. */
export const START: Position = { ms: 0, sequence: 0, nonce: "" };

export function formatPosition({ ms, sequence, nonce }: Position): string {
  return `${ms}-${sequence}~${nonce}`;
}

/** The position a text stands for; null if it is malformed. `"0"` is the place before every entry. */
export function parsePosition(text: string): Position | null {
  if (text === BEGINNING) return START;
  const match = /^(\d{1,15})-(\d{1,15})~([A-Za-z0-9_-]{1,32})$/.exec(text);
  if (match === null) return null;
  const [, ms, sequence, nonce = ""] = match;
  return { ms: Number(ms), sequence: Number(sequence), nonce };
}

/** Whether `a` was written before `b`, by their clocks. */
export function isBefore(a: Position, b: Position): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.sequence < b.sequence);
}
