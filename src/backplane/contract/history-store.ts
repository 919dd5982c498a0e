import type { EncodedMessage } from "../../protocol/encoded-message.ts";
import type { Link } from "../../protocol/roomcast-v1.ts";
import type { Exclusion, MessagePacket, Publication } from "./broker.ts";

/** A log: that of a durable room, or that of messages to everyone. It has the name of its channel. */
export type LogName = "broadcast" | `room:${string}`;

/** How much of a log is kept. */
export interface HistoryPolicy {
  /** Messages; older ones are dropped. */
  readonly maxLength: number;
  /** What its messages may take, in bytes, with what each takes besides its payload; older ones are dropped. Default: no bound. */
  readonly maxBytes?: number;
  /** How long after the last message the log is forgotten, in milliseconds. */
  readonly ttlMs: number;
  /** How many replicas must have a message before it counts as stored. Default 0. */
  readonly minReplicas?: number;
}

/** One message of a log. */
export interface HistoryEntry extends Link {
  readonly message: EncodedMessage;
  readonly except: Exclusion | null;
}

export interface HistoryPage {
  /** Oldest first. */
  readonly entries: readonly HistoryEntry[];
  /** Where to read on; absent if this was the end. */
  readonly next?: string;
  /** The position of the newest entry there is, or was before the log was forgotten; `"0"` without any. */
  readonly end: string;
}

/** What became of an append. */
export interface Appended extends Publication {
  readonly id: string;
}

/** How much payload one page of a log holds, in bytes; the entry that goes beyond it is its last. */
export const PAGE_BYTES = 1_048_576;

/** How long an idempotency key is remembered, in milliseconds. */
export const IDEMPOTENCY_MS = 600_000;

/**
 * The logs of durable rooms. Each entry names its predecessor, so a reader can prove that what it holds
 * is complete: the first entry after its position must name that position.
 */
export interface HistoryStore {
  /**
   * Stores a message and publishes it, with its link, in one step: members receive messages in the order
   * of the log. With an idempotency key that was used within `IDEMPOTENCY_MS`, nothing is stored or sent, and
   * the answer has the position of the first message. Rejects with `BackplaneUnavailableError` if it was not
   * stored, or nobody knows.
   */
  append(
    log: LogName,
    packet: MessagePacket,
    policy: HistoryPolicy,
    idempotencyKey?: string | null,
  ): Promise<Appended>;

  /**
   * At most `limit` entries after the position `since`, which is not among them, and no more once they have
   * `PAGE_BYTES` of payload. Rejects with a `RangeError` for a position that is malformed.
   */
  read(log: LogName, since: string, limit: number): Promise<HistoryPage>;

  /** The newest entries: at most `limit`, and about `maxBytes` of payload. */
  tail(log: LogName, limit: number, maxBytes: number): Promise<HistoryPage>;

  /**
   * Subscribes to the log's channel and resolves to a position: everything after it arrives, or can be
   * read. MUST be subscribed when it resolves, also if it resolves to null because the service is away.
   */
  follow(log: LogName, policy: HistoryPolicy): Promise<string | null>;

  /**
   * The positions of the newest entries of these logs, which are remembered for a while longer: somebody listens. Null for
   * one of which that cannot be told, whatever the reason; it MUST NOT keep the others from being answered. At most
   * 500 are asked for at a time.
   */
  ends(logs: readonly FollowedLog[]): Promise<readonly (string | null)[]>;
}

export interface FollowedLog {
  readonly log: LogName;
  readonly policy: HistoryPolicy;
}
