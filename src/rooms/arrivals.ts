import { setTimeout as wait } from "node:timers/promises";
import type { HistoryEntry } from "../backplane/contract/history-store.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { isExcepted } from "../durable/excepted.ts";
import type { FanOut } from "../fanout/fan-out.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { Arrival, Room } from "./room.ts";

/** How long to wait before a read that failed is tried again, and at most, in milliseconds; plus as much at random. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 8000;
/** A client that came back to so many bytes gets the next room when it has read them. */
const PACE_BYTES = 64 * 1024;

/**
 * Brings connections that speak `roomcast.v1` into rooms: `joined`, then what they missed since the position
 * they named, then what came meanwhile, then what comes. All of it in order, none missing and none twice;
 * or a `joined` that says that this cannot be had. A room whose log is away holds up no other.
 */
export class Arrivals {
  readonly #fanOut: FanOut;
  readonly #report: (error: unknown) => void;
  /** Those who are on the way somewhere, in the order they joined. */
  readonly #byConnection: Map<ServerConnection, Arrival[]> = new Map();
  /** Those who are being let in, one room after another. */
  readonly #entering: Set<ServerConnection> = new Set();
  /** How often clients that named a position got everything since, and how often not. */
  readonly outcomes: { recovered: number; lost: number } = { recovered: 0, lost: 0 };

  constructor(fanOut: FanOut, report: (error: unknown) => void) {
    this.#fanOut = fanOut;
    this.#report = report;
  }

  /** A connection has joined; `opening` resolves when messages to the room arrive here; null: they do. */
  join(connection: ServerConnection, room: Room, opening: Promise<void> | null): void {
    const arrival: Arrival = {
      connection,
      room,
      base: room.feed?.position ?? null,
      isOpen: false,
      isPrepared: false,
      held: [],
      heldBytes: 0,
      isOver: false,
    };
    room.arrivals ??= new Map();
    room.arrivals.set(connection, arrival);
    const others = this.#byConnection.get(connection);
    if (others === undefined) this.#byConnection.set(connection, [arrival]);
    else others.push(arrival);
    void Promise.resolve(opening).then(() => {
      // It joined before anybody knew where the log was: what has come since then is for it too.
      arrival.base ??= room.feed?.begunAt ?? null;
      arrival.isOpen = true;
      if (connection.dialect?.isReady === true) void this.#prepare(arrival);
    });
  }

  /** A connection has left a room, perhaps before it was quite in. */
  leave(connection: ServerConnection, room: Room): void {
    const arrival = room.arrivals?.get(connection);
    if (arrival !== undefined) this.#remove(arrival);
  }

  /** A connection has gone. */
  gone(connection: ServerConnection): void {
    for (const arrival of [...(this.#byConnection.get(connection) ?? [])]) this.#remove(arrival);
  }

  /** The client has said where it stands. */
  ready(connection: ServerConnection): void {
    // A copy: those with nothing to wait for are in at once.
    for (const arrival of [...(this.#byConnection.get(connection) ?? [])]) {
      if (arrival.isOpen) void this.#prepare(arrival);
    }
  }

  /** Ends the wait of somebody for whom too much waits; what can be told is told. */
  hurry(arrival: Arrival): void {
    if (!arrival.isOver) this.#enter(arrival);
  }

  /** Sees to it that the feed knows what the client missed, as far as that can be known. Never rejects. */
  async #prepare(arrival: Arrival): Promise<void> {
    const { connection, room } = arrival;
    const from = connection.dialect?.positions.get(room.name) ?? arrival.base;
    let retryMs = RETRY_MS;
    while (!arrival.isOver && room.feed !== null && from !== null) {
      try {
        await room.feed.prepare(from);
        break;
      } catch (error) {
        if (!(error instanceof BackplaneUnavailableError)) {
          this.#report(error);
          break;
        }
        // Not a gap: nobody knows yet.
        await wait(retryMs * (1 + Math.random()), undefined, { ref: false });
        retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
      }
    }
    arrival.isPrepared = true;
    await this.#letIn(connection);
  }

  /** One room after another: a client that comes back to many is not sent everything at once. */
  async #letIn(connection: ServerConnection): Promise<void> {
    if (this.#entering.has(connection)) return;
    this.#entering.add(connection);
    try {
      for (;;) {
        const next = this.#byConnection.get(connection)?.find(({ isPrepared }) => isPrepared);
        if (next === undefined) break;
        if (this.#enter(next) > PACE_BYTES) await connection.drained();
      }
    } finally {
      this.#entering.delete(connection);
    }
  }

  /**
   * MUST stay synchronous: no live message may come between what was missed and what was held. Answers how many
   * bytes were queued.
   */
  #enter(arrival: Arrival): number {
    this.#remove(arrival);
    const { connection, room, base } = arrival;
    const { feed, name } = room;
    const asked = connection.dialect?.positions.get(name);
    const from = asked ?? base;
    const missed = feed === null || from === null ? null : feed.recent(from);
    const recovered = asked === undefined ? null : missed !== null;
    if (recovered !== null) this.outcomes[recovered ? "recovered" : "lost"]++;
    const newest = feed?.position ?? null;
    // Whoever asked for nothing goes on from where the log was when it joined.
    const position = asked === undefined && missed !== null ? base : newest;
    // What many get who come back to one place begins here, so that they share its bytes.
    connection.flush();
    connection.deliverFrame(room.joinedFrame(recovered, position));
    // It joined long ago, and what came since is not here any more.
    if (asked === undefined && missed === null && base !== newest && base !== null) {
      connection.tell({ type: "gap", room: name });
    }
    connection.dialect?.positions.delete(name);
    const bytes = missed === null ? 0 : this.#replay(connection, name, missed);
    for (const { message } of arrival.held) {
      this.#fanOut.deliver(message.enveloped(name, null), connection);
    }
    connection.transport.grant(bytes);
    return bytes;
  }

  #replay(connection: ServerConnection, name: string, missed: readonly HistoryEntry[]): number {
    let bytes = 0;
    for (const entry of missed) {
      const { message, except } = entry;
      const frame = isExcepted(connection, except)
        ? message.skipped(name, entry)
        : message.enveloped(name, entry);
      this.#fanOut.deliver(frame, connection);
      bytes += frame.bytes.length;
    }
    return bytes;
  }

  #remove(arrival: Arrival): void {
    arrival.isOver = true;
    const { connection, room } = arrival;
    if (room.arrivals?.delete(connection) === true && room.arrivals.size === 0)
      room.arrivals = null;
    const others = this.#byConnection.get(connection);
    if (others === undefined) return;
    const place = others.indexOf(arrival);
    if (place >= 0) others.splice(place, 1);
    if (others.length === 0) this.#byConnection.delete(connection);
  }
}
