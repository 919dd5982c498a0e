import { isUtf8 } from "node:buffer";
import { checkClose } from "../../protocol/close-codes.ts";
import { EncodedMessage } from "../../protocol/encoded-message.ts";
import { parsePosition } from "../../protocol/position.ts";
import type { Exclusion, Packet } from "../contract/broker.ts";

/**
 * What instances send each other: a mark, the length of a header, the header (JSON), and then the
 * payload, byte for byte what clients get. Text never begins with the mark, so anything else on a
 * channel of ours can be told from it: somebody's `redis-cli PUBLISH`.
 */
const MARK = Buffer.from([0x00, 0x52, 0x43, 0x01]);
const HEADER_START = MARK.length + 2;

/**
 * What a packet that was stored begins with when it is published: this mark, its position and its
 * predecessor's, and a line feed; then the packet as it is in the log.
 */
export const LINK_MARK: Buffer = Buffer.from([0x00, 0x52, 0x43, 0x02]);
const LINE_FEED = 0x0a;

/** Where a packet comes from, so that its sender knows its own and receivers know the outdated. */
export interface Origin {
  /** One life of an instance; another one after its lease lapsed. */
  readonly incarnation: string;
  /** Raised by the sender each time it lost the backplane and went on by itself. */
  readonly epoch: number;
  /** Counts the sender's packets. */
  readonly sequence: number;
}

export interface Envelope {
  /** null: not from an instance. */
  readonly origin: Origin | null;
  readonly packet: Packet;
}

type Header = [incarnation: string, epoch: number, sequence: number, ...PacketHeader];

type PacketHeader =
  | [
      type: "message",
      binary: 0 | 1,
      except: Exclusion | null,
      connection?: string | null,
      rooms?: readonly string[],
    ]
  | [type: "join" | "leave", room: string, version: number, connection?: string]
  | [type: "disconnect", code: number, reason: string, connection?: string];

export function encodePacket(origin: Origin, packet: Packet): Buffer {
  const header: Header = [
    origin.incarnation,
    origin.epoch,
    origin.sequence,
    ...encodeHeader(packet),
  ];
  const text = Buffer.from(JSON.stringify(header));
  const payload = packet.type === "message" ? packet.message.data : NOTHING;
  const bytes = Buffer.allocUnsafe(HEADER_START + text.length + payload.length);
  bytes.set(MARK);
  bytes.writeUInt16BE(text.length, MARK.length);
  bytes.set(text, HEADER_START);
  bytes.set(payload, HEADER_START + text.length);
  return bytes;
}

/** What arrived on a channel; null for garbage. Never throws. */
export function decodePacket(bytes: Buffer): Envelope | null {
  if (bytes.subarray(0, LINK_MARK.length).equals(LINK_MARK)) return decodeLinked(bytes);
  return decodeUnlinked(bytes);
}

function decodeUnlinked(bytes: Buffer): Envelope | null {
  if (!bytes.subarray(0, MARK.length).equals(MARK)) {
    if (!isUtf8(bytes)) return null;
    const message = new EncodedMessage({ data: bytes, binary: false });
    return { origin: null, packet: { type: "message", message, except: null } };
  }
  try {
    const start = HEADER_START + bytes.readUInt16BE(MARK.length);
    const header: unknown = JSON.parse(bytes.toString("utf8", HEADER_START, start));
    return isHeader(header) ? decodeHeader(header, bytes.subarray(start)) : null;
  } catch {
    return null;
  }
}

function decodeLinked(bytes: Buffer): Envelope | null {
  const end = bytes.indexOf(LINE_FEED);
  const [id, prev] = bytes.toString("latin1", LINK_MARK.length, end).split(" ");
  if (id === undefined || prev === undefined) return null;
  if (parsePosition(id) === null || parsePosition(prev) === null) return null;
  // Not linked again: a link in a link is nobody's.
  const envelope = decodeUnlinked(bytes.subarray(end + 1));
  if (envelope?.packet.type !== "message" || envelope.origin === null) return null;
  return { origin: envelope.origin, packet: { ...envelope.packet, link: { id, prev } } };
}

const NOTHING = Buffer.alloc(0);

function encodeHeader(packet: Packet): PacketHeader {
  const connection: [string?] = packet.connection === undefined ? [] : [packet.connection];
  switch (packet.type) {
    case "message": {
      const { type, message, except, rooms } = packet;
      const binary = message.binary ? 1 : 0;
      if (rooms !== undefined) return [type, binary, except, packet.connection ?? null, rooms];
      return [type, binary, except, ...connection];
    }
    case "disconnect":
      return [packet.type, packet.code, packet.reason, ...connection];
    default:
      return [packet.type, packet.room, packet.version ?? 0, ...connection];
  }
}

function decodeHeader(header: Header, payload: Buffer): Envelope | null {
  const [incarnation, epoch, sequence, ...rest] = header;
  const origin = { incarnation, epoch, sequence };
  switch (rest[0]) {
    case "message": {
      const [type, binary, except, connection, rooms] = rest;
      const message = new EncodedMessage({ data: payload, binary: binary === 1 });
      const to = { ...optional(connection ?? undefined), ...(rooms !== undefined && { rooms }) };
      return { origin, packet: { type, message, except, ...to } };
    }
    case "disconnect": {
      const [type, code, reason, connection] = rest;
      return { origin, packet: { type, code, reason, ...optional(connection) } };
    }
    case "join":
    case "leave": {
      const [type, room, version, connection] = rest;
      const versioned = version === 0 ? {} : { version };
      return { origin, packet: { type, room, ...versioned, ...optional(connection) } };
    }
    default:
      return null;
  }
}

function optional(connection: string | undefined): { connection?: string } {
  return connection === undefined ? {} : { connection };
}

/** Checks what could do harm; a header of ours has the rest. */
function isHeader(value: unknown): value is Header {
  if (!Array.isArray(value)) return false;
  const [incarnation, epoch, sequence, type] = value;
  return (
    typeof incarnation === "string" &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(sequence) &&
    isRest(type, value.slice(4))
  );
}

function isRest(type: unknown, rest: readonly unknown[]): boolean {
  const last = rest[rest.length - 1];
  switch (type) {
    case "message":
      return (
        (rest[0] === 0 || rest[0] === 1) &&
        isExclusion(rest[1]) &&
        (rest.length === 2 ||
          (rest.length === 3 && typeof last === "string") ||
          (rest.length === 4 && rest[2] === null && isStrings(last)))
      );
    case "disconnect":
      return (
        isClose(rest[0], rest[1]) &&
        (rest.length === 2 || (rest.length === 3 && typeof last === "string"))
      );
    case "join":
    case "leave":
      return (
        typeof rest[0] === "string" &&
        Number.isSafeInteger(rest[1]) &&
        (rest.length === 2 || (rest.length === 3 && typeof last === "string"))
      );
    default:
      return false;
  }
}

/** Whether a connection may be closed with these. */
function isClose(code: unknown, reason: unknown): boolean {
  if (typeof code !== "number" || typeof reason !== "string") return false;
  try {
    checkClose(code, reason);
    return true;
  } catch {
    return false;
  }
}

function isExclusion(value: unknown): value is Exclusion | null {
  if (value === null) return true;
  if (typeof value !== "object" || value === undefined) return false;
  return (
    "connections" in value &&
    isStrings(value.connections) &&
    "users" in value &&
    isStrings(value.users)
  );
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
