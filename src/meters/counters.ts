import { RecentHitters } from "./heavy-hitters.ts";
import { Histogram } from "./histogram.ts";

/** By whom a message was meant to be got. */
export type Audience = "connection" | "user" | "room" | "broadcast";

/** In what form a message came. */
export type Form = "text" | "binary";

/**
 * What an instance has done since it was made: plain numbers that cost an addition where something happens, and are
 * read when somebody asks. All only grow.
 */
export class Counters {
  /** Connections that were registered. */
  connections = 0;
  /** Messages queued to connections here: a message to a room of a hundred counts a hundred. */
  readonly sent: Record<Audience, number> = { connection: 0, user: 0, room: 0, broadcast: 0 };
  /** Messages clients sent, each counted once. */
  readonly received: Record<Form, number> = { text: 0, binary: 0 };
  /** Payloads of clients, in bytes. */
  bytesReceived = 0;
  /** Frames handed to sockets, in bytes. */
  bytesSent = 0;
  /** Frames that were laid out in memory to be sent, in bytes: those who are owed the same share them. */
  bytesLaidOut = 0;
  /** Times a socket was handed something. */
  writes = 0;
  /** Readers that were given up because they did not keep up. */
  slowReaders = 0;
  /** Messages that were dropped because their client sent too fast. */
  rateLimited = 0;
  /** Connections that have ended, by close code. */
  readonly closed: Map<number, number> = new Map();
  /** Handshakes that were refused, by HTTP status. */
  readonly refused: Map<number, number> = new Map();
  /** Errors that reached the `error` event, by stage. */
  readonly failures: Map<string, number> = new Map();
  /** Rooms by what was delivered to them, and users by what they sent; null: nobody wants to know. */
  hitters: { readonly rooms: RecentHitters; readonly users: RecentHitters } | null = null;
  /** From when a message is queued here to when all it is for have been written to, in seconds. */
  readonly fanOutSeconds: Histogram = new Histogram();
  /** How long the backplane takes to accept what is published, its way back to here included, in seconds. */
  readonly publishSeconds: Histogram = new Histogram();
  /** How long handlers take for a message, in seconds. */
  readonly processingSeconds: Record<Form, Histogram> = {
    text: new Histogram(),
    binary: new Histogram(),
  };

  /** From now on rooms and users are weighed, for whoever asks which are the heaviest. */
  weigh(): { readonly rooms: RecentHitters; readonly users: RecentHitters } {
    this.hitters ??= { rooms: new RecentHitters(), users: new RecentHitters() };
    return this.hitters;
  }
}

/** Counts one more of `key`. */
export function countOne<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
