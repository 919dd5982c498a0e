import { isUtf8 } from "node:buffer";
import { checkClose } from "../../protocol/close-codes.ts";
import { EncodedMessage } from "../../protocol/encoded-message.ts";
import { isName } from "../../protocol/names.ts";
import { parsePosition } from "../../protocol/position.ts";
import type { DisconnectPacket, Exclusion, Order, Packet } from "../contract/broker.ts";

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

/** What several packets of one sender begin with that travel together: then the same, with a longer length. */
const SEVERAL_MARK = Buffer.from([0x00, 0x52, 0x43, 0x03]);
const SEVERAL_START = SEVERAL_MARK.length + 4;

/** How every mark begins; what follows says which of these formats it is, those of later versions too. */
const ANY_MARK = MARK.subarray(0, -1);

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

type SeveralHeader = [
  incarnation: string,
  epoch: number,
  packets: [sequence: number, payloadLength: number, ...PacketHeader][],
];

type PacketHeader =
  | [
      type: "message",
      binary: 0 | 1,
      except: Exclusion | null,
      connection?: string | null,
      rooms?: readonly string[],
    ]
  | [type: "join" | "leave", room: string, version: number, terms?: OrderTerms]
  | [type: "disconnect", code: number, reason: string, terms?: OrderTerms]
  | [type: "answer", to: number, from: string, affected: number];

/** Whom an order is for, and who waits for it. */
type OrderTerms = Pick<DisconnectPacket, "connection" | "user" | "order" | "agoMs">;

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

/** Packets of one channel that travel together, in this order. */
export function encodePackets(
  { incarnation, epoch }: Omit<Origin, "sequence">,
  packets: readonly { readonly sequence: number; readonly packet: Packet }[],
): Buffer {
  const payloads = packets.map(({ packet }) =>
    packet.type === "message" ? packet.message.data : NOTHING,
  );
  const each = packets.map(({ sequence, packet }, index): SeveralHeader[2][number] => [
    sequence,
    payloads[index]?.length ?? 0,
    ...encodeHeader(packet),
  ]);
  const header: SeveralHeader = [incarnation, epoch, each];
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.allocUnsafe(SEVERAL_START - SEVERAL_MARK.length);
  length.writeUInt32BE(text.length);
  return Buffer.concat([SEVERAL_MARK, length, text, ...payloads]);
}

/** What arrived on a channel, in order; null for garbage. Never throws. */
export function decodePackets(bytes: Buffer): readonly Envelope[] | null {
  if (bytes.subarray(0, SEVERAL_MARK.length).equals(SEVERAL_MARK)) return decodeSeveral(bytes);
  const envelope = decodePacket(bytes);
  return envelope === null ? null : [envelope];
}

function decodeSeveral(bytes: Buffer): readonly Envelope[] | null {
  try {
    let at = SEVERAL_START + bytes.readUInt32BE(SEVERAL_MARK.length);
    const header: unknown = JSON.parse(bytes.toString("utf8", SEVERAL_START, at));
    if (!Array.isArray(header) || !Array.isArray(header[2])) return null;
    const [incarnation, epoch, packets] = header as [unknown, unknown, unknown[]];
    const envelopes: Envelope[] = [];
    for (const each of packets) {
      if (!Array.isArray(each)) return null;
      const [sequence, length, ...rest]: unknown[] = each;
      const own: unknown = [incarnation, epoch, sequence, ...rest];
      if (typeof length !== "number" || !(length >= 0) || !isHeader(own)) return null;
      const envelope = decodeHeader(own, bytes.subarray(at, at + length));
      if (envelope === null) return null;
      at += length;
      envelopes.push(envelope);
    }
    return at === bytes.length ? envelopes : null;
  } catch {
    return null;
  }
}

/** One packet; null for garbage. Never throws. */
export function decodePacket(bytes: Buffer): Envelope | null {
  if (bytes.subarray(0, LINK_MARK.length).equals(LINK_MARK)) return decodeLinked(bytes);
  return decodeUnlinked(bytes);
}

function decodeUnlinked(bytes: Buffer): Envelope | null {
  if (!bytes.subarray(0, MARK.length).equals(MARK)) {
    if (bytes.subarray(0, ANY_MARK.length).equals(ANY_MARK) || !isUtf8(bytes)) return null;
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
  switch (packet.type) {
    case "message": {
      const { type, message, except, connection, rooms } = packet;
      const binary = message.binary ? 1 : 0;
      if (rooms !== undefined) return [type, binary, except, connection ?? null, rooms];
      return connection === undefined ? [type, binary, except] : [type, binary, except, connection];
    }
    case "disconnect": {
      const { type, code, reason, ...terms } = packet;
      return [type, code, reason, terms];
    }
    case "answer":
      return [packet.type, packet.to, packet.from, packet.affected];
    default: {
      const { type, room, version = 0, ...terms } = packet;
      return [type, room, version, terms];
    }
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
      const [type, code, reason, terms] = rest;
      return { origin, packet: { type, code, reason, ...terms } };
    }
    case "join":
    case "leave": {
      const [type, room, version, terms] = rest;
      const versioned = version === 0 ? {} : { version };
      return { origin, packet: { type, room, ...versioned, ...terms } };
    }
    case "answer": {
      const [type, to, from, affected] = rest;
      return { origin, packet: { type, to, from, affected } };
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
  switch (type) {
    case "message":
      return (
        (rest[0] === 0 || rest[0] === 1) &&
        isExclusion(rest[1]) &&
        (rest.length === 2 ||
          (rest.length === 3 && typeof rest[2] === "string") ||
          (rest.length === 4 && rest[2] === null && isStrings(rest[3])))
      );
    case "disconnect":
      return isClose(rest[0], rest[1]) && rest.length === 3 && isTerms(rest[2]);
    case "join":
    case "leave":
      return (
        typeof rest[0] === "string" &&
        Number.isSafeInteger(rest[1]) &&
        rest.length === 3 &&
        isTerms(rest[2])
      );
    case "answer":
      return (
        rest.length === 3 &&
        Number.isSafeInteger(rest[0]) &&
        typeof rest[1] === "string" &&
        Number.isSafeInteger(rest[2])
      );
    default:
      return false;
  }
}

function isTerms(value: unknown): value is OrderTerms {
  if (typeof value !== "object" || value === null) return false;
  const { connection, user, order, agoMs, ...rest } = value as Record<keyof OrderTerms, unknown>;
  return (
    Object.keys(rest).length === 0 &&
    isTextOrAbsent(connection) &&
    isTextOrAbsent(user) &&
    (agoMs === undefined || (typeof agoMs === "number" && agoMs >= 0)) &&
    (order === undefined || isOrder(order))
  );
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 2) return false;
  const { by, number } = value as Record<keyof Order, unknown>;
  return isName(by) && Number.isSafeInteger(number);
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
