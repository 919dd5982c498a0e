import type { Payload } from "./payload.ts";
import type { Link } from "./roomcast-v1.ts";

/** Bytes that say how long the header of a binary message is. */
const LENGTH_BYTES = 2;

/** Where a message was sent, as an envelope says it; null: to one user or connection. */
export type EnvelopeRoom = string | null;

/** A `message` frame of `roomcast.v1`: JSON text, or, for binary payloads, a header and then the bytes. */
export function envelope(
  { data, binary }: Payload,
  room: EnvelopeRoom,
  link: Link | null,
): Payload | string {
  // Put together by hand: this is done for every message, and an object would be made only to be read again.
  const where = room === null ? "" : `,"room":${JSON.stringify(room)}`;
  const { id, prev } = link ?? NO_LINK;
  const links = link === null ? "" : `,"id":${JSON.stringify(id)},"prev":${JSON.stringify(prev)}`;
  const header = `{"type":"message"${where}${links}`;
  if (binary) return withBytes(`${header}}`, data);
  return `${header},"data":${JSON.stringify(data.toString())}}`;
}

const NO_LINK: Link = { id: "", prev: "" };

/** What a connection gets instead of a message of a durable room that it was left out of. */
export function skip(room: EnvelopeRoom, { id, prev }: Link): string {
  return JSON.stringify({ type: "message", room, id, prev, skip: true });
}

/** A message of a log, for a client without the subprotocol: JSON as such, other text as a string. */
export function replayed({ data, binary }: Payload, id: string): Payload | string {
  const header = { type: "replay", message_id: id };
  if (binary) return withBytes(JSON.stringify(header), data);
  return JSON.stringify({ ...header, data: parsed(data.toString()) });
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

function withBytes(header: string, data: Buffer): Payload {
  const length = Buffer.byteLength(header);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + length + data.length);
  bytes.writeUInt16BE(length, 0);
  bytes.write(header, LENGTH_BYTES);
  bytes.set(data, LENGTH_BYTES + length);
  return { data: bytes, binary: true };
}
