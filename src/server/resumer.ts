import { setTimeout as wait } from "node:timers/promises";
import type { Exclusion, MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryEntry, LogName } from "../backplane/contract/history-store.ts";
import type { FanOut } from "../fanout/fan-out.ts";
import { roomOfChannel } from "../protocol/envelope.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { Feed } from "./feed.ts";
import type { Feeds } from "./feeds.ts";
import type { ServerConnection } from "./server-connection.ts";

/** How long to wait before a read that failed is tried again, in milliseconds; plus as much at random. */
const RETRY_MS = 500;
/** A client that came back to so many bytes gets the next room when it has read them. */
const PACE_BYTES = 64 * 1024;

/** A connection on its way into a room: the room's messages wait until it has what it missed. */
interface Joiner {
  readonly connection: ServerConnection;
  readonly log: LogName;
  readonly room: string;
  /** Where the log stood when it joined; null: not known yet. */
  base: string | null;
  /** Whether messages to the room arrive here by now. */
  opened: boolean;
  /** What has no place in the log, in order of arrival. The rest is in the feed's ring. */
  held: MessagePacket[];
  heldBytes: number;
  done: boolean;
}

/**
 * Brings connections that speak `roomcast.v1` into rooms: `joined`, then what they missed since the position
 * they named, then what came meanwhile, then what comes. All of it in order, none missing and none twice;
 * or a `joined` that says that this cannot be had.
 */
export class Resumer {
  readonly #feeds: Feeds;
  readonly #fanOut: FanOut;
  readonly #report: (error: unknown) => void;
  readonly #byLog: Map<string, Map<ServerConnection, Joiner>> = new Map();
  readonly #byConnection: Map<ServerConnection, Map<LogName, Joiner>> = new Map();
  readonly #running: WeakSet<ServerConnection> = new WeakSet();
  /** How often clients that named a position got everything since, and how often not. */
  readonly outcomes: { recovered: number; lost: number } = { recovered: 0, lost: 0 };

  constructor(feeds: Feeds, fanOut: FanOut, report: (error: unknown) => void) {
    this.#feeds = feeds;
    this.#fanOut = fanOut;
    this.#report = report;
  }

  /** Those on their way into a room, by its channel. */
  joining(channel: string): ReadonlyMap<ServerConnection, Joiner> | undefined {
    return this.#byLog.size === 0 ? undefined : this.#byLog.get(channel);
  }

  /** A connection has joined; `opened` resolves when messages to the room arrive here. */
  join(connection: ServerConnection, log: LogName, opened: Promise<void>): void {
    const joiner: Joiner = {
      connection,
      log,
      room: roomOfChannel(log) ?? "",
      base: this.#feeds.get(log)?.position ?? null,
      opened: false,
      held: [],
      heldBytes: 0,
      done: false,
    };
    within(this.#byLog, log).set(connection, joiner);
    within(this.#byConnection, connection).set(log, joiner);
    opened.then(
      () => {
        joiner.base ??= this.#feeds.get(log)?.position ?? null;
        joiner.opened = true;
        this.ready(connection);
      },
      () => this.leave(connection, log),
    );
  }

  /** A connection has left a room, perhaps before it was quite in. */
  leave(connection: ServerConnection, log: LogName): void {
    const joiner = this.#byConnection.get(connection)?.get(log);
    if (joiner !== undefined) this.#remove(joiner);
  }

  /** A connection has gone. */
  gone(connection: ServerConnection): void {
    for (const joiner of [...(this.#byConnection.get(connection)?.values() ?? [])]) {
      this.#remove(joiner);
    }
  }

  /** The client has said where it stands, or one of its rooms is open: what can be done is. */
  ready(connection: ServerConnection): void {
    if (connection.session?.isReady !== true || this.#running.has(connection)) return;
    this.#running.add(connection);
    this.#resumeAll(connection)
      .catch((error) => this.#report(error))
      .finally(() => {
        this.#running.delete(connection);
        // One may have become ready just now.
        if (this.#next(connection) !== undefined) this.ready(connection);
      });
  }

  /** Keeps an ephemeral message for somebody who is on the way; too much of it ends the wait. */
  hold(joiner: Joiner, packet: MessagePacket): void {
    joiner.held.push(packet);
    joiner.heldBytes += packet.message.data.length;
    if (joiner.heldBytes > joiner.connection.maxBufferedBytes) this.#finish(joiner, null);
  }

  /** One room after another: a client that comes back to many is not sent everything at once. */
  async #resumeAll(connection: ServerConnection): Promise<void> {
    for (;;) {
      const next = this.#next(connection);
      if (next === undefined) return;
      const bytes = await this.#resume(next);
      if (bytes > PACE_BYTES) await connection.drained();
    }
  }

  #next(connection: ServerConnection): Joiner | undefined {
    for (const joiner of this.#byConnection.get(connection)?.values() ?? []) {
      if (joiner.opened) return joiner;
    }
    return undefined;
  }

  /** Answers how many bytes were queued. */
  async #resume(joiner: Joiner): Promise<number> {
    const { connection, log } = joiner;
    const from = connection.session?.positions.get(joiner.room) ?? joiner.base;
    const feed = this.#feeds.get(log);
    while (!joiner.done && feed !== undefined && from !== null) {
      try {
        await feed.prepare(from);
        break;
      } catch (error) {
        if (!(error instanceof BackplaneUnavailableError)) throw error;
        // Not a gap: nobody knows yet.
        await wait(RETRY_MS * (1 + Math.random()), undefined, { ref: false });
      }
    }
    return joiner.done ? 0 : this.#finish(joiner, feed ?? null);
  }

  /** From here on to the end nothing else happens: the connection is on the way, and then it is live. */
  #finish(joiner: Joiner, feed: Feed | null): number {
    this.#remove(joiner);
    const { connection, log, room, base } = joiner;
    const asked = connection.session?.positions.get(room);
    const from = asked ?? base;
    const missed = feed === null || from === null ? null : feed.recent(from);
    const recovered = asked === undefined ? null : missed !== null;
    if (recovered !== null) this.outcomes[recovered ? "recovered" : "lost"]++;
    const newest = this.#feeds.get(log)?.position ?? null;
    // Whoever asked for nothing goes on from where the log was when it joined.
    const position = asked === undefined && missed !== null ? base : newest;
    connection.tell({ type: "joined", room, recovered, position });
    // It joined long ago, and what came since is not here any more.
    if (asked === undefined && missed === null && base !== newest && base !== null) {
      connection.tell({ type: "gap", room });
    }
    connection.session?.positions.delete(room);
    let bytes = 0;
    for (const entry of missed ?? []) bytes += this.#deliver(connection, room, entry);
    for (const { message } of joiner.held) {
      this.#fanOut.deliver(message.enveloped(room, null), connection);
    }
    connection.grant(bytes);
    return bytes;
  }

  #deliver(connection: ServerConnection, room: string, entry: HistoryEntry): number {
    const { message, except } = entry;
    const frame = isExcepted(connection, except)
      ? message.skipped(room, entry)
      : message.enveloped(room, entry);
    this.#fanOut.deliver(frame, connection);
    return frame.bytes.length;
  }

  #remove(joiner: Joiner): void {
    joiner.done = true;
    const { connection, log } = joiner;
    const ofLog = this.#byLog.get(log);
    ofLog?.delete(connection);
    if (ofLog?.size === 0) this.#byLog.delete(log);
    const ofConnection = this.#byConnection.get(connection);
    ofConnection?.delete(log);
    if (ofConnection?.size === 0) this.#byConnection.delete(connection);
  }
}

/** Whether a message leaves a connection out. */
export function isExcepted(connection: ServerConnection, except: Exclusion | null): boolean {
  if (except === null) return false;
  const { id, userId } = connection;
  return except.connections.includes(id) || (userId !== undefined && except.users.includes(userId));
}

function within<A, B, C>(maps: Map<A, Map<B, C>>, key: A): Map<B, C> {
  let map = maps.get(key);
  if (map === undefined) {
    map = new Map();
    maps.set(key, map);
  }
  return map;
}
