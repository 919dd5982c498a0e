import { type Outgoing, toUtf8 } from "../messages/encode.ts";

/** The length of the header of a binary frame, big-endian. */
const LENGTH_BYTES = 2;

/** A `message` frame; one with an id is to be acknowledged. */
export function messageFrame(
  { data, structured }: Outgoing,
  id: string | undefined,
): string | Uint8Array {
  const header = JSON.stringify({ type: "message", id });
  if (typeof data === "string") {
    return `${header.slice(0, -1)},"data":${structured ? data : JSON.stringify(data)}}`;
  }
  const start = toUtf8(header);
  const bytes = new Uint8Array(LENGTH_BYTES + start.length + data.length);
  bytes.set([start.length >> 8, start.length]);
  bytes.set(start, LENGTH_BYTES);
  bytes.set(data, LENGTH_BYTES + start.length);
  return bytes;
}

/** A binary frame, in its parts. */
export function splitBinary(frame: Uint8Array): readonly [header: string, payload: Uint8Array] {
  const [high = 0, low = 0] = frame;
  const start = LENGTH_BYTES + high * 256 + low;
  const header = new TextDecoder().decode(frame.subarray(LENGTH_BYTES, start));
  return [header, frame.subarray(start)];
}
