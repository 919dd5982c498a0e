import { MessageTooLargeError } from "../../protocol/errors.ts";

/** What the application sends: text or bytes, and whether the text is JSON that is no string. */
export interface Outgoing {
  readonly data: string | Uint8Array;
  readonly structured?: boolean;
}

const encoder = new TextEncoder();

/**
 * Makes a message ready to be sent: strings and bytes as they are, any other value as JSON. Bytes are copied: what
 * becomes of the buffer afterwards changes nothing.
 *
 * @throws TypeError if it has no form on the wire: undefined, a function, a BigInt, a cycle, a Blob, a Map.
 */
export function encodeMessage(message: unknown, asJson = false): Outgoing {
  if (typeof message === "string" && !asJson) return { data: message };
  const bytes = bytesOf(message);
  if (bytes) return { data: bytes.slice() };
  // What JSON cannot hold throws a TypeError, or gives nothing.
  const json: string | undefined = JSON.stringify(message, (_key, value) => {
    if (isOpaque(value)) throw notSendable(value);
    return value;
  });
  if (json === undefined) throw notSendable(message);
  return { data: json, structured: json[0] !== '"' };
}

export function toUtf8(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data;
}

/** What is to be said of a message that is larger than `limit` bytes. */
export function tooLarge(
  message: string | Uint8Array,
  limit: number,
): MessageTooLargeError | undefined {
  // A UTF-16 unit is at most three bytes, so most messages need no measuring.
  const size = message.length * 3 > limit ? toUtf8(message).length : 0;
  return size > limit ? new MessageTooLargeError(size, limit) : undefined;
}

function bytesOf(message: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(message)) {
    return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  }
  return isBuffer(message) ? new Uint8Array(message) : undefined;
}

/** Also a shared one, or one of another frame of the page. */
function isBuffer(value: unknown): value is ArrayBuffer {
  return /ArrayBuffer]$/.test(Object.prototype.toString.call(value));
}

/** Whether JSON would show nothing of it: a Map, a Set, a Blob, a promise. */
function isOpaque(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  // Plain, also where it comes from another frame of the page.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return false;
  return Object.keys(value).length === 0;
}

function notSendable(value: unknown): TypeError {
  const kind = typeof value === "object" ? value?.constructor.name : typeof value;
  return new TypeError(`A message cannot be or hold a ${kind}.`);
}
