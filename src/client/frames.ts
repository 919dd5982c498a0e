import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** What the application sends: text or bytes, and whether the text is JSON that is no string. */
export interface Outgoing {
  readonly data: string | Uint8Array;
  readonly structured?: boolean;
}

/** A message of the server's history, as an application may send it (docs/PROTOCOL.md, section 9). */
interface ReplayFrame {
  readonly type: "replay";
  readonly message_id: string;
  readonly data: unknown;
}

/** What a client of `roomcast.v1` understands. */
export type IncomingFrame = ServerFrame | ReplayFrame;

const LENGTH_BYTES = 2;
const encoder = new TextEncoder();

/**
 * Makes a message ready to be sent: strings and bytes as they are, any other value as JSON.
 *
 * @throws TypeError if it has no form on the wire (undefined, a function, a BigInt, a cycle).
 */
export function encodeMessage(message: unknown, asJson?: boolean): Outgoing {
  const data = message instanceof ArrayBuffer ? new Uint8Array(message) : message;
  if (data instanceof Uint8Array || (typeof data === "string" && !asJson)) return { data };
  // What JSON cannot hold throws a TypeError, or gives nothing.
  const json: string | undefined = JSON.stringify(data);
  if (json) return { data: json, structured: json[0] !== '"' };
  throw new TypeError(`A message must be a string, bytes or JSON, not ${typeof data}.`);
}

/** How many bytes this is in UTF-8. */
export function byteLength(data: string | Uint8Array): number {
  return typeof data === "string" ? encoder.encode(data).length : data.length;
}

/** A `message` frame; one with an id is to be acknowledged. */
export function messageFrame(
  { data, structured }: Outgoing,
  id: string | undefined,
): string | Uint8Array {
  const header = JSON.stringify({ type: "message", id });
  if (typeof data === "string") {
    return `${header.slice(0, -1)},"data":${structured ? data : JSON.stringify(data)}}`;
  }
  const start = encoder.encode(header);
  const bytes = new Uint8Array(LENGTH_BYTES + start.length + data.length);
  bytes.set([start.length >> 8, start.length % 256]);
  bytes.set(start, LENGTH_BYTES);
  bytes.set(data, LENGTH_BYTES + start.length);
  return bytes;
}

/** A frame of the server, and the bytes that came with it. What is none reads as an error. */
export function readFrame(message: ReceivedMessage): {
  readonly frame: IncomingFrame;
  readonly bytes?: Uint8Array | undefined;
} {
  let header = message;
  let bytes: Uint8Array | undefined;
  if (typeof header !== "string") {
    const [high = 0, low = 0] = header;
    const start = LENGTH_BYTES + high * 256 + low;
    bytes = header.subarray(start);
    header = new TextDecoder().decode(header.subarray(LENGTH_BYTES, start));
  }
  try {
    // What is JSON but no object has no type, and is ignored.
    const frame = Object(JSON.parse(header));
    // Only an answer may be anything. Elsewhere an object, which may have a `toString` of its own, is its text.
    for (const [name, value] of Object.entries(frame)) {
      if (frame.type !== "ack" && value === Object(value)) frame[name] = JSON.stringify(value);
    }
    return { frame, bytes };
  } catch {
    return { frame: { type: "error", code: "bad_frame", message: "This is no frame." } };
  }
}
