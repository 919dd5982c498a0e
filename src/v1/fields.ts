import { quote } from "../protocol/names.ts";
import { MAX_MESSAGE_ID_LENGTH } from "../protocol/roomcast-v1.ts";

/** What a frame of a client holds; nothing is known of it yet. */
export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isMessageId(id: unknown): id is string {
  return typeof id === "string" && id.length > 0 && id.length <= MAX_MESSAGE_ID_LENGTH;
}

/** What was found instead. Only text is shown: to make text of anything else would run what a client sent. */
export function not(found: unknown): string {
  if (typeof found === "string") return `not ${quote(found)}`;
  return found === undefined ? "and is missing" : `not ${found === null ? "null" : typeof found}`;
}
