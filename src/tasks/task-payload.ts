import { inspect } from "node:util";
import { MessageTooLargeError } from "../protocol/errors.ts";

/** The largest task, in bytes of JSON. What is larger belongs elsewhere, and its address in the task. */
const MAX_TASK_BYTES = 1_048_576;
/** How much is kept of what a handler threw, in characters. */
const MAX_ERROR_LENGTH = 1000;

/**
 * A task as the queue keeps it.
 *
 * @throws TypeError if it has no form in JSON (undefined, a function, a BigInt, bytes, a cycle).
 * @throws MessageTooLargeError if it has more than 1 MiB.
 */
export function encodeTask(task: unknown): string {
  if (ArrayBuffer.isView(task) || task instanceof ArrayBuffer) {
    throw new TypeError("A task must be a JSON value, not bytes.");
  }
  const text = stringify(task);
  const size = Buffer.byteLength(text);
  if (size > MAX_TASK_BYTES) throw new MessageTooLargeError(size, MAX_TASK_BYTES);
  return text;
}

export type DecodedTask = { readonly ok: true; readonly task: unknown } | { readonly ok: false };

/** The task in what a queue held, where anybody may have put anything. Never throws. */
export function decodeTask(data: string | null): DecodedTask {
  if (data === null) return { ok: false };
  try {
    const task: unknown = JSON.parse(data);
    return { ok: true, task };
  } catch {
    return { ok: false };
  }
}

/** What a handler threw, which may be anything, in words. Never throws. */
export function describeThrown(thrown: unknown): string {
  let text: string;
  try {
    text = thrown instanceof Error ? String(thrown) : `${inspect(thrown, { depth: 2 })} was thrown`;
  } catch {
    text = "something was thrown that cannot be shown";
  }
  return text.slice(0, MAX_ERROR_LENGTH);
}

function stringify(task: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(task);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`A task could not be encoded as JSON: ${why}`, { cause });
  }
  if (text !== undefined) return text;
  throw new TypeError(`A task must be a JSON value, not ${typeof task}.`);
}
