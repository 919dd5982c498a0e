import type { Payload } from "../protocol/payload.ts";
import type { MessagePacket, Publication } from "./broker.ts";

/** How much of a room is kept. */
export interface HistoryPolicy {
  /** Messages; older ones are dropped. */
  readonly maxLength: number;
  /** How long after the last message the log is forgotten, in milliseconds. */
  readonly ttlMs: number;
}

/** One message of a log. */
export interface HistoryEntry {
  /** Its position: opaque, unique in the room for ever. */
  readonly id: string;
  /** The position of the message before it; `"0"` for the first. */
  readonly prev: string;
  readonly payload: Payload;
}

export interface HistoryPage {
  /** Oldest first. */
  readonly entries: readonly HistoryEntry[];
  /** Where to read on; absent if this was the end. */
  readonly next?: string;
}

/** The position before the first message of every room. */
export const BEGINNING = "0";

/**
 * The logs of durable rooms. Each entry names its predecessor, so a reader can prove that what it holds
 * is complete.
 */
export interface HistoryStore {
  /**
   * Stores a message and publishes it to the room, in one step: members receive messages in the order
   * of the log. Rejects with `BackplaneUnavailableError` if it was not stored, or nobody knows.
   */
  append(
    room: string,
    packet: MessagePacket,
    policy: HistoryPolicy,
  ): Promise<Publication & { readonly id: string }>;

  /**
   * At most `limit` entries after the position `since`, which is not among them. Rejects with a
   * `RangeError` for a position that is malformed.
   */
  read(room: string, since: string, limit: number): Promise<HistoryPage>;
}
