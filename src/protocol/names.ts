const MAX_NAME_BYTES = 256;

/**
 * Whether `value` may name a room or a user: 1 to 256 bytes of UTF-8 with no control characters
 * (C0, DEL, C1), no lone surrogates, and neither `{` nor `}`.
 */
export function isName(value: unknown): value is string {
  return typeof value === "string" && fault(value) === null;
}

/**
 * Returns `value` if it is a valid name.
 *
 * @throws TypeError if it is not a string.
 * @throws RangeError if it is empty, too long, or holds characters that are not allowed.
 */
export function checkName(kind: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`A ${kind} must be a string.`);
  const wrong = fault(value);
  if (wrong !== null) throw new RangeError(`The ${kind} ${JSON.stringify(value)} ${wrong}.`);
  return value;
}

function fault(name: string): string | null {
  if (name === "") return "is empty";
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return "is longer than 256 bytes of UTF-8";
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return "holds a control character";
    if (character === "{" || character === "}") return "holds { or }, which are not allowed";
    if (code >= 0xd800 && code <= 0xdfff) return "is not valid Unicode";
  }
  return null;
}
