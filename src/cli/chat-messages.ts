import { isName } from "../protocol/names.ts";

/** What a client of `/ws` may send. */
export type ChatMessage =
  | { readonly type: "join" | "leave"; readonly room: string }
  | { readonly type: "broadcast"; readonly data: unknown }
  | { readonly type: "room_message"; readonly room: string; readonly data: unknown }
  | { readonly type: "direct_message"; readonly to: string; readonly data: unknown }
  | HistoryRequest
  | { readonly type: "ping" };

export interface HistoryRequest {
  readonly type: "history";
  readonly room: string;
  readonly since?: string;
  readonly limit?: number;
}

/** What is wrong with a message, for the client that sent it. */
export interface ChatFault {
  readonly code: "bad_message" | "unknown_type" | "bad_field";
  readonly message: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** How many messages of a room's history one answer holds at most. */
const MAX_HISTORY = 1000;

const READERS = new Map<string, (fields: Fields) => ChatMessage>([
  ["join", (fields) => ({ type: "join", room: name(fields, "room") })],
  ["leave", (fields) => ({ type: "leave", room: name(fields, "room") })],
  ["broadcast", (fields) => ({ type: "broadcast", data: data(fields) })],
  [
    "room_message",
    (fields) => ({ type: "room_message", room: name(fields, "room"), data: data(fields) }),
  ],
  [
    "direct_message",
    (fields) => ({ type: "direct_message", to: name(fields, "to"), data: data(fields) }),
  ],
  ["history", readHistory],
  ["ping", () => ({ type: "ping" })],
]);

/** Reads parsed JSON as a message, or says what is wrong with it. Fields it does not know are ignored. */
export function readChatMessage(
  value: unknown,
): { readonly message: ChatMessage } | { readonly fault: ChatFault } {
  if (!isObject(value)) {
    return fault("bad_message", 'A message must be a JSON object such as {"type":"ping"}.');
  }
  const { type } = value;
  const read = typeof type === "string" ? READERS.get(type) : undefined;
  if (read === undefined) {
    return fault("unknown_type", `type must be one of ${[...READERS.keys()].join(", ")}.`);
  }
  try {
    return { message: read(value) };
  } catch (error) {
    if (!(error instanceof WrongField)) throw error;
    return fault("bad_field", `${type}: ${error.message}`);
  }
}

function readHistory(fields: Fields): HistoryRequest {
  const { since, limit } = fields;
  if (since !== undefined && typeof since !== "string") {
    throw new WrongField("since must be a position, as a string.");
  }
  if (limit !== undefined && !(Number.isInteger(limit) && isBetween(limit, 1, MAX_HISTORY))) {
    throw new WrongField(`limit must be a whole number from 1 to ${MAX_HISTORY}.`);
  }
  return {
    type: "history",
    room: name(fields, "room"),
    ...(since === undefined ? {} : { since }),
    ...(typeof limit === "number" ? { limit } : {}),
  };
}

class WrongField extends Error {}

function name(fields: Fields, field: string): string {
  const value = fields[field];
  if (isName(value)) return value;
  throw new WrongField(
    `${field} must be a string of 1 to 256 bytes without control characters, { or }.`,
  );
}

function data(fields: Fields): unknown {
  if (fields.data === undefined) throw new WrongField("data is missing; it may be any JSON value.");
  return fields.data;
}

function isBetween(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fault(code: ChatFault["code"], message: string): { readonly fault: ChatFault } {
  return { fault: { code, message } };
}
