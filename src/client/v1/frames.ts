import type { GoodbyeFrame, Link, ServerFrame } from "../../protocol/roomcast-v1.ts";
import type { ReceivedMessage } from "../options.ts";
import { splitBinary } from "./message-frame.ts";

/** A message, or a step in its room that is nothing for this client. */
interface MessageFrame {
  readonly type: "message";
  /** Null: this client was left out of it. */
  readonly message: ReceivedMessage | null;
  readonly room: string | undefined;
  /** Undefined: it has no place in a log. */
  readonly link: Link | undefined;
}

/** A message of the server's history, as an application may send it (docs/PROTOCOL.md, section 9). */
interface ReplayFrame {
  readonly type: "replay";
  readonly message: ReceivedMessage;
  readonly id: string;
}

/** What a client of `roomcast.v1` understands, checked. */
export type IncomingFrame =
  | MessageFrame
  | ReplayFrame
  | ({ readonly type: "error"; readonly code: string; readonly message: string } & {
      readonly id: string | undefined;
      readonly room: string | undefined;
    })
  | { readonly type: "pong"; readonly t: number }
  | GoodbyeFrame
  | Extract<ServerFrame, { readonly type: "joined" | "left" | "gap" | "ack" | "refresh" }>;

type Fields = Readonly<Record<string, unknown>>;

/** What each type of frame has to have. Each throws where a field is not as it has to be. */
const PARSERS: Readonly<Record<string, (fields: Fields, bytes?: Uint8Array) => IncomingFrame>> = {
  message: (fields, bytes) => ({
    type: "message",
    message: fields.skip === true ? null : (bytes ?? text(fields.data)),
    room: optional(text, fields.room),
    link: fields.id === undefined ? undefined : { id: text(fields.id), prev: text(fields.prev) },
  }),
  replay: ({ message_id, data }, bytes) => ({
    type: "replay",
    message: bytes ?? (typeof data === "string" ? data : text(JSON.stringify(data))),
    id: text(message_id),
  }),
  joined: ({ room, recovered, position }) => ({
    type: "joined",
    room: text(room),
    recovered: typeof recovered === "boolean" ? recovered : null,
    position: optional(text, position) ?? null,
  }),
  left: ({ room }) => ({ type: "left", room: text(room) }),
  gap: ({ room }) => ({ type: "gap", room: text(room) }),
  ack: ({ id, data }) => ({ type: "ack", id: text(id), data }),
  error: ({ code, message, id, room }) => ({
    type: "error",
    code: text(code),
    message: text(message),
    id: optional(text, id),
    room: optional(text, room),
  }),
  pong: ({ t }) => ({ type: "pong", t: number(t) }),
  goodbye: ({ code, reconnect, after_ms }) => ({
    type: "goodbye",
    code: number(code),
    reconnect: reconnect !== false,
    after_ms: number(after_ms),
  }),
  refresh: ({ in_ms }) => ({ type: "refresh", in_ms: number(in_ms) }),
};

/**
 * Reads a frame of a server. Undefined: one of a type that is not known, which is ignored, as the protocol wants.
 *
 * @throws TypeError or SyntaxError if it is no frame, or lacks what its type has to have.
 */
export function parseFrame(frame: ReceivedMessage): IncomingFrame | undefined {
  const [header, bytes] = typeof frame === "string" ? [frame] : splitBinary(frame);
  const fields: unknown = JSON.parse(header);
  if (typeof fields !== "object" || fields === null || !("type" in fields)) return undefined;
  const { type } = fields;
  if (typeof type !== "string" || !Object.hasOwn(PARSERS, type)) return undefined;
  return PARSERS[type]?.({ ...fields }, bytes);
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError("not a text");
}

/** What is no number asks for nothing. */
function number(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

function optional<T>(read: (value: unknown) => T, value: unknown): T | undefined {
  return value === undefined || value === null ? undefined : read(value);
}
