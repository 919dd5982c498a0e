const MAX_NAME_BYTES = 256;

/** What a name stands for; used in error messages. */
export type NameKind = "room" | "user" | "connection id" | "instance id" | "topic" | "queue";

/**
 * Whether `value` may name a room, a user, a connection or an instance: 1 to 256 bytes of UTF-8 with
 * no control characters and neither `{` nor `}` (those would move a key to another Redis Cluster slot).
 */
export function isName(value: unknown): value is string {
  return typeof value === "string" && fault(value) === null;
}

/**
 * Returns `value` if it is a valid name.
 *
 * @throws TypeError if it is not a string.
 * @throws RangeError if it is too long, empty, or holds characters that are not allowed.
 */
export function checkName(kind: NameKind, value: unknown): string {
  if (typeof value !== "string") {
    throw new TypeError(
      `A ${kind} must be a string, not ${value === null ? "null" : typeof value}.`,
    );
  }
  const wrong = fault(value);
  if (wrong !== null) throw new RangeError(`The ${kind} ${quote(value)} ${wrong}.`);
  return value;
}

/** `value` as it may be shown in a message or a log: control characters escaped, at most 256 bytes. */
export function quote(value: string): string {
  const shown = value.length > 64 ? `${value.slice(0, 64)}…` : value;
  // JSON escapes C0 controls and lone surrogates; DEL, C1 and the line separators are left to us.
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function fault(name: string): string | null {
  if (name.length === 0) return "is empty";
  // A UTF-16 unit is at most three bytes of UTF-8, so short names need no measuring.
  if (name.length > MAX_NAME_BYTES || (name.length * 3 > MAX_NAME_BYTES && isTooLong(name))) {
    return `is longer than ${MAX_NAME_BYTES} bytes of UTF-8`;
  }
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) return "holds a control character";
    if (unit === 0x7b || unit === 0x7d) return "holds { or }, which are not allowed";
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const next = name.charCodeAt(i + 1);
      if (unit >= 0xdc00 || !(next >= 0xdc00 && next <= 0xdfff)) return "is not valid Unicode";
      i++;
    }
  }
  return null;
}

function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > MAX_NAME_BYTES;
}
