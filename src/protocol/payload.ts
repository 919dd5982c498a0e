/**
 * A message as the application gives it: a `string` is sent as a text frame, a `Uint8Array` or
 * `ArrayBuffer` as a binary frame, any other value as JSON text. Falsy values are messages too.
 */
export type Message = unknown;

/** The bytes a client will get, and whether they travel in a binary frame. */
export interface Payload {
  readonly data: Buffer;
  readonly binary: boolean;
}

/**
 * What a message is on the wire: text for a text frame, or bytes for a binary one. The bytes are the caller's: who
 * keeps them makes a copy.
 *
 * @throws TypeError if the message has no form on the wire (undefined, a function, a symbol, a BigInt,
 * a cycle, a `toJSON` that throws).
 */
export function encodePayload(message: Message): string | Payload {
  if (typeof message === "string") return message;
  if (message instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = message;
    return { data: Buffer.from(buffer, byteOffset, byteLength), binary: true };
  }
  if (message instanceof ArrayBuffer) return { data: Buffer.from(message), binary: true };
  return encodeJson(message);
}

function encodeJson(message: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(message);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`A message could not be encoded as JSON: ${why}`, { cause });
  }
  if (text === undefined) {
    throw new TypeError(`A message must be a string, bytes or JSON, not ${describe(message)}.`);
  }
  return text;
}

function describe(message: unknown): string {
  return typeof message === "object" ? "an object whose toJSON gives nothing" : typeof message;
}
