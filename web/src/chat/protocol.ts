/** What the page says to `/ws`. */
export type ClientMessage =
  | { type: "join"; room: string }
  | { type: "leave"; room: string }
  | { type: "broadcast"; data: ChatData }
  | { type: "room_message"; room: string; data: ChatData }
  | { type: "direct_message"; to: string; data: ChatData }
  | { type: "history"; room: string; limit: number; since?: string }
  | { type: "ping" };

/**
 * What this page puts into `data`. The id lets it recognise its own message when it comes back, and
 * a message it knows already in the history; the time is the sender's clock, in milliseconds.
 */
export interface ChatData {
  id: string;
  text: string;
  at: number;
}

/** Something said, by this page or by any other client: those may send any `data`. */
export interface Said {
  from: string;
  text: string;
  id?: string;
  at?: number;
}

/** What `/ws` says to the page. */
export type ServerMessage =
  | { type: "message"; room?: string; said: Said }
  | { type: "dm"; said: Said }
  | { type: "joined"; room: string; users: string[] }
  | { type: "left"; room: string }
  | { type: "user_joined" | "user_left"; room: string; user: string }
  | { type: "history"; room: string; messages: Said[]; next?: string }
  | { type: "system"; text: string }
  | { type: "pong" }
  | { type: "goodbye"; afterMs: number }
  | { type: "error"; code: string; text: string };

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Whether there is such a time: a `Date` reaches 100,000,000 days both ways, and formats nothing beyond. */
function isTime(at: number): boolean {
  return Math.abs(at) <= 8.64e15;
}

/** Reads `data` of whatever shape: our own, a plain text, or any JSON, shown as it is. */
function readSaid(fields: Fields): Said {
  const { data } = fields;
  const said: Said = { from: text(fields.from) || "someone", text: "" };
  if (typeof data === "string") return { ...said, text: data };
  if (!isFields(data) || typeof data.text !== "string") {
    return { ...said, text: JSON.stringify(data) ?? "" };
  }
  said.text = data.text;
  if (typeof data.id === "string") said.id = data.id;
  if (typeof data.at === "number" && isTime(data.at)) said.at = data.at;
  return said;
}

/** An entry of the history holds what its readers were sent, which is a `message`. */
function readHistory(entries: unknown): Said[] {
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown) => {
    const { data: sent, at }: Fields = isFields(entry) ? entry : {};
    if (!isFields(sent) || sent.type !== "message") return [];
    // Other programs say no time of their own; then that counts at which it was stored.
    const stored = typeof at === "number" && isTime(at) ? { at } : {};
    return [{ ...stored, ...readSaid(sent) }];
  });
}

/**
 * Reads one text frame.
 *
 * @returns undefined for anything this page does not know, which it then ignores
 */
export function readServerMessage(frame: string): ServerMessage | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(frame);
  } catch {
    return undefined;
  }
  if (!isFields(fields)) return undefined;
  const room = text(fields.room);
  switch (fields.type) {
    case "message":
      return { type: "message", said: readSaid(fields), ...(room ? { room } : {}) };
    case "dm":
      return { type: "dm", said: readSaid(fields) };
    case "joined": {
      const users = Array.isArray(fields.users) ? fields.users.map(text).filter(Boolean) : [];
      return { type: "joined", room, users };
    }
    case "left":
      return { type: "left", room };
    case "user_joined":
    case "user_left":
      return { type: fields.type, room, user: text(fields.user_id) };
    case "history": {
      const next = text(fields.next);
      const messages = readHistory(fields.messages);
      return { type: "history", room, messages, ...(next ? { next } : {}) };
    }
    case "system":
      return { type: "system", text: text(fields.message) };
    case "pong":
      return { type: "pong" };
    case "goodbye":
      return { type: "goodbye", afterMs: Number(fields.after_ms) || 0 };
    case "error":
      return { type: "error", code: text(fields.code), text: text(fields.message) };
    default:
      return undefined;
  }
}
