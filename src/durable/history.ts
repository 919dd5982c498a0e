import type { HistoryEntry, HistoryStore, LogName } from "../backplane/contract/history-store.ts";
import type { AnyConnection } from "../connection/connection.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { replayed } from "../protocol/envelope.ts";
import { ConnectionClosedError } from "../protocol/errors.ts";
import { Frame } from "../protocol/frame.ts";
import { checkName } from "../protocol/names.ts";
import { BEGINNING, EVERYONE } from "../protocol/roomcast-v1.ts";
import { checkSetting, wholeNumber } from "../protocol/setting.ts";
import { unawaited } from "../protocol/unawaited.ts";
import { isExcepted } from "./excepted.ts";

/**
 * The logs of durable rooms; that of messages to everyone is called `EVERYONE`. Every method rejects with a
 * TypeError or RangeError for a name, position or limit that is not valid, and with
 * `BackplaneUnavailableError` while the backplane is away.
 */
export interface History {
  /**
   * The messages of a room after the position `since` (which is not among them), oldest first. Awaited: one
   * page, at most `limit` (default 100) and about 1 MiB, and `next`, where to read on, if there are more.
   * Iterated: all of them, a page at a time.
   */
  read(room: string, options?: ReadOptions): Reading;

  /**
   * Sends a connection of this instance the messages of a room after `since` (default: from the beginning), at
   * most `limit` (default: all), at the pace its reader takes them: each as
   * `{"type":"replay","message_id":…,"data":…}`, a binary one as a binary frame with that as its header.
   * Resolves to how many were sent.
   *
   * @throws ConnectionClosedError (as a rejection) if the connection ends before it has everything.
   */
  replay(connection: AnyConnection, room: string, options?: ReadOptions): Promise<number>;

  /** How often members of this instance had to be told that messages were lost for good. */
  readonly gaps: number;

  /** What this instance keeps of recent messages to answer resumes from, in bytes. */
  readonly ringBytes: number;

  /** How often clients of this instance that resumed a room got everything, and how often not. */
  readonly resumes: { readonly recovered: number; readonly lost: number };
}

/** One page when awaited, everything when iterated. */
export interface Reading extends Promise<ReadResult>, AsyncIterable<HistoryMessage> {}

export interface ReadOptions {
  readonly since?: string;
  readonly limit?: number;
}

export interface ReadResult {
  readonly messages: readonly HistoryMessage[];
  readonly next?: string;
}

export interface HistoryMessage {
  readonly id: string;
  readonly prev: string;
  /** What clients were sent: text as a string, binary as bytes. */
  readonly data: string | Uint8Array;
}

const READ_OPTIONS = ["since", "limit"];
const LIMIT = wholeNumber("", 100, 1, 10_000);

/** What a reader of logs is made of. @internal */
export interface HistoryParts {
  readonly store: HistoryStore;
  /** The connection of this instance that has an id. */
  readonly find: (id: string) => ServerConnection | undefined;
  readonly counts: { readonly gaps: number; readonly ringsBytes: number };
  readonly outcomes: { readonly recovered: number; readonly lost: number };
  readonly failed: (error: unknown) => void;
}

/** @internal */
export class HistoryReader implements History {
  readonly #parts: HistoryParts;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  get gaps(): number {
    return this.#parts.counts.gaps;
  }

  get ringBytes(): number {
    return this.#parts.counts.ringsBytes;
  }

  get resumes(): { readonly recovered: number; readonly lost: number } {
    return { ...this.#parts.outcomes };
  }

  read(room: string, options: ReadOptions = {}): Reading {
    const first = unawaited(this.#page(room, options), this.#parts.failed);
    return Object.assign(first, { [Symbol.asyncIterator]: () => this.#all(first, room, options) });
  }

  replay(connection: AnyConnection, room: string, options: ReadOptions = {}): Promise<number> {
    return unawaited(this.#replay(connection, room, options), this.#parts.failed);
  }

  async #replay(connection: AnyConnection, room: string, options: ReadOptions): Promise<number> {
    checkOptions("history.replay", options, READ_OPTIONS);
    const { since = BEGINNING, limit = Number.POSITIVE_INFINITY } = options;
    const to = this.#parts.find(connection.id);
    if (to === undefined) throw new RangeError("The connection is not one of this instance.");
    const log = checkLog(room);
    let sent = 0;
    for (let from: string | undefined = since; from !== undefined && sent < limit; ) {
      const atMost = Math.min(limit - sent, LIMIT.default);
      const page = await this.#parts.store.read(log, from, atMost);
      sent += this.#send(to, page.entries);
      await to.drained();
      if (to.state !== "open") throw new ConnectionClosedError(...whyClosed(to));
      from = page.next;
    }
    return sent;
  }

  #send(to: ServerConnection, entries: readonly HistoryEntry[]): number {
    let sent = 0;
    for (const { id, message, except } of entries) {
      if (isExcepted(to, except)) continue;
      const frame = new Frame(replayed(message, id));
      to.transport.grant(frame.bytes.length);
      to.deliverFrame(frame);
      sent++;
    }
    return sent;
  }

  async #page(room: string, options: ReadOptions): Promise<ReadResult> {
    checkOptions("history.read", options, READ_OPTIONS);
    const { since = BEGINNING, limit } = options;
    const atMost = checkSetting("limit", limit, LIMIT);
    const page = await this.#parts.store.read(checkLog(room), since, atMost);
    const messages = page.entries.map(toMessage);
    return page.next === undefined ? { messages } : { messages, next: page.next };
  }

  async *#all(
    first: Promise<ReadResult>,
    room: string,
    options: ReadOptions,
  ): AsyncGenerator<HistoryMessage, undefined> {
    for (let page = await first; ; ) {
      yield* page.messages;
      if (page.next === undefined) return;
      page = await this.#page(room, { ...options, since: page.next });
    }
  }
}

function whyClosed({ closeInfo }: ServerConnection): [code: number, reason: string] {
  return [closeInfo?.code ?? CloseCode.abnormal, closeInfo?.reason ?? ""];
}

function checkLog(room: string): LogName {
  return room === EVERYONE ? "broadcast" : `room:${checkName("room", room)}`;
}

function toMessage({ id, prev, message }: HistoryEntry): HistoryMessage {
  return { id, prev, data: message.binary ? message.data : message.data.toString() };
}
