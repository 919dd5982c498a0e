import type { Payload } from "./payload.ts";

const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;

/**
 * One whole, unmasked WebSocket frame from a server (RFC 6455 section 5.2). Identity matters: the same
 * `Frame` object, sent to many connections, is what lets them share their bytes.
 */
export class Frame {
  /** Header and payload, as they go on the wire. */
  readonly bytes: Buffer;
  readonly #payloadStart: number;

  /** Text is encoded right into its place. */
  constructor(payload: Payload | string) {
    const isText = typeof payload === "string";
    const length = isText ? Buffer.byteLength(payload) : payload.data.length;
    const start = headerLength(length);
    const bytes = Buffer.allocUnsafe(start + length);
    bytes[0] = !isText && payload.binary ? FIN_BINARY : FIN_TEXT;
    // Section 5.2: 7 bits, or 126 and 16 bits, or 127 and 64 bits; always the shortest form.
    if (start === 2) {
      bytes[1] = length;
    } else if (start === 4) {
      bytes[1] = 126;
      bytes.writeUInt16BE(length, 2);
    } else {
      bytes[1] = 127;
      bytes.writeBigUInt64BE(BigInt(length), 2);
    }
    if (isText) bytes.write(payload, start);
    else bytes.set(payload.data, start);
    this.bytes = bytes;
    this.#payloadStart = start;
  }

  get binary(): boolean {
    return this.bytes[0] === FIN_BINARY;
  }

  /** The payload alone, for sockets that make their own frames. */
  get payload(): Buffer {
    return this.bytes.subarray(this.#payloadStart);
  }
}

function headerLength(payloadLength: number): number {
  if (payloadLength < 126) return 2;
  return payloadLength < 65_536 ? 4 : 10;
}
