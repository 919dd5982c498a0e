import type { Payload } from "./payload.ts";
import type { Link } from "./roomcast-v1.ts";

/** Bytes that say how long the header of a binary message is. */
const LENGTH_BYTES = 2;

/** Where a message was sent, as an envelope says it; null: to one user or connection. */
export type EnvelopeRoom = string | null;

/** A `message` frame of `roomcast.v1`: JSON, or, for binary payloads, a header and then the bytes. */
export function envelope(payload: Payload, room: EnvelopeRoom, link: Link | null): Payload {
  const header = { ...(room !== null && { room }), ...(link !== null && pick(link)) };
  return wrap({ type: "message", ...header }, payload, (text) => text);
}

/** What a connection gets instead of a message of a durable room that it was left out of. */
export function skip(room: EnvelopeRoom, link: Link): Payload {
  const frame = { type: "message", room, ...pick(link), skip: true };
  return { data: Buffer.from(JSON.stringify(frame)), binary: false };
}

/** A message of a log, for a client without the subprotocol: JSON as such, other text as a string. */
export function replayed(payload: Payload, id: string): Payload {
  return wrap({ type: "replay", message_id: id }, payload, parsed);
}

/** A frame of a client: a JSON header with the bytes that follow it; null if it is none. */
export function openBinary(bytes: Buffer): { header: string; data: Buffer } | null {
  if (bytes.length < LENGTH_BYTES) return null;
  const end = LENGTH_BYTES + bytes.readUInt16BE(0);
  if (end > bytes.length) return null;
  return { header: bytes.toString("utf8", LENGTH_BYTES, end), data: bytes.subarray(end) };
}

/** Text as the JSON it is, or else as a string. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function wrap(
  header: Record<string, unknown>,
  { data, binary }: Payload,
  toData: (text: string) => unknown,
): Payload {
  if (!binary) {
    const text = JSON.stringify({ ...header, data: toData(data.toString()) });
    return { data: Buffer.from(text), binary };
  }
  const start = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + start.length + data.length);
  bytes.writeUInt16BE(start.length, 0);
  bytes.set(start, LENGTH_BYTES);
  bytes.set(data, LENGTH_BYTES + start.length);
  return { data: bytes, binary };
}

function pick({ id, prev }: Link): Link {
  return { id, prev };
}
