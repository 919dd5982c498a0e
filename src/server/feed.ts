import { setTimeout as wait } from "node:timers/promises";
import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryEntry, HistoryPage } from "../backplane/contract/history-store.ts";
import { isBefore, parsePosition } from "../history/position.ts";
import { Ring } from "../history/ring.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { Link } from "../protocol/roomcast-v1.ts";

/** Entries in one read while catching up. */
const PAGE = 200;
/** Memory of one log's recent messages, and of what waits while it is read; in bytes. */
const RING_BYTES = 1024 * 1024;
/** How long to wait before a read that failed is tried again, in milliseconds. */
const RETRY_MS = 1000;

/** The log a feed follows, and those it is for. */
export interface FeedHost {
  read(since: string, limit: number): Promise<HistoryPage>;
  tail(limit: number, maxBytes: number): Promise<HistoryPage>;
  /** Queues a message to the members. Answers how many they are. */
  deliver(packet: MessagePacket): number;
  /** How many members a message would be queued to. */
  audience(packet: MessagePacket): number;
  /** Messages are lost for good: members are to be told. */
  gap(): void;
  /** Something failed that will be tried again. */
  failed(error: unknown): void;
  /** The ring has another size now. */
  resized(): void;
}

interface Recent extends HistoryEntry {
  readonly size: number;
}

/**
 * One log as this instance hears it. Members get its messages in the order of the log, none missing and
 * none twice: each names its predecessor, and when that is not the one delivered last, newer messages wait
 * until the log was read from there. What continuity cannot be shown for is told as a gap.
 *
 * The recent messages are kept in a ring, from which clients that come back get what they missed.
 */
export class Feed {
  readonly #host: FeedHost;
  readonly #ring: Ring<Recent>;
  readonly #depth: number;
  /** The position of the message delivered last; null: the log could not be read yet. */
  #last: string | null = null;
  /** What came before the beginning or while the log is being read; null: nothing is waited for. */
  #held: MessagePacket[] | null = [];
  #heldBytes = 0;
  #working: Promise<void> | null = null;
  #again = false;
  /** Whether the ring has everything a resume may ask for. */
  #loaded = false;
  #loading: Promise<void> | null = null;
  #closed = false;
  /** The message that made us read the log; if it does not fit even then, there is a gap before it. */
  #unlinked: string | null = null;
  /** When something last came, on the clock of `performance.now()`. */
  heardAt: number = performance.now();

  /** `depth`: how many messages a resume may ask for. */
  constructor(host: FeedHost, depth: number) {
    this.#host = host;
    this.#depth = depth;
    this.#ring = new Ring(depth, RING_BYTES);
  }

  get ringBytes(): number {
    return this.#ring.bytes;
  }

  /** The position of the message delivered last; null: the log could not be read yet. */
  get position(): string | null {
    return this.#last;
  }

  /** Begins at a position: everything after it will come or can be read. null: nobody can tell yet. */
  begin(position: string | null): void {
    if (this.#closed) return;
    this.#last = position;
    if (position !== null) this.check();
    else for (const packet of this.#release()) this.receive(packet);
  }

  close(): void {
    this.#closed = true;
  }

  /** Forgets the recent messages; they are read again when they are needed. */
  shed(): void {
    this.#ring.clear();
    this.#loaded = false;
    this.#host.resized();
  }

  /** Takes what came on the log's channel. Answers how many it was or will be queued to. */
  receive(packet: MessagePacket): number {
    this.heardAt = performance.now();
    if (this.#held !== null) return this.#hold(this.#held, packet);
    if (packet.link === undefined) return this.#host.deliver(packet);
    const { id, prev } = packet.link;
    if (prev === this.#last || this.#last === null) return this.#advance(packet, packet.link);
    if (id === this.#last || this.#ring.has(id)) return 0;
    if (id === this.#unlinked) {
      // Not even the log leads to it.
      this.#begin(prev);
      return this.#advance(packet, packet.link);
    }
    this.#unlinked = id;
    this.check();
    return this.receive(packet);
  }

  /** Reads what may have been missed; newer messages wait meanwhile. */
  check(): void {
    this.heardAt = performance.now();
    this.#held ??= [];
    // What is being read may be older than what made somebody ask.
    this.#again = this.#working !== null;
    this.#working ??= this.#catchUp().finally(() => {
      this.#working = null;
      // Something may have shown itself to be missing at the very end.
      if (this.#held !== null && !this.#closed) this.check();
    });
  }

  /**
   * Sees to it that `recent` knows as much as can be known about a position. Reads the log only if the ring
   * does not reach back so far, once for all who ask.
   *
   * @throws BackplaneUnavailableError (as a rejection) if the log had to be read and could not be.
   */
  async prepare(position: string): Promise<void> {
    await this.#settled();
    if (this.#loaded || this.recent(position) !== null) return;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    await this.#loading;
  }

  /** What members got after a position: all of it, or null if nobody can tell. */
  recent(position: string): readonly HistoryEntry[] | null {
    return position === this.#last ? [] : this.#ring.after(position);
  }

  async #settled(): Promise<void> {
    while (this.#working !== null) await this.#working;
    if (this.#last !== null) return;
    throw new BackplaneUnavailableError("The log could not be read yet.", "not-stored");
  }

  #advance(packet: MessagePacket, { id, prev }: Link): number {
    this.#last = id;
    if (this.#ring.has(id)) return 0;
    const { message, except } = packet;
    this.#ring.push({ id, prev, message, except, size: message.data.length });
    this.#host.resized();
    return this.#host.deliver(packet);
  }

  #hold(held: MessagePacket[], packet: MessagePacket): number {
    // What is stored can be read again; the rest is lost when too much of it waits.
    if (this.#heldBytes <= RING_BYTES) {
      held.push(packet);
      this.#heldBytes += packet.message.data.length;
    }
    return this.#host.audience(packet);
  }

  /** Never rejects. */
  async #catchUp(): Promise<void> {
    while (!this.#closed && this.#held !== null) {
      try {
        do {
          this.#again = false;
          await this.#readOn();
        } while (this.#again && !this.#closed);
        for (const packet of this.#release()) this.receive(packet);
      } catch (error) {
        this.#host.failed(error);
        // What is stored will be read once the log can be; the rest is not kept waiting for that.
        for (const packet of this.#release()) {
          if (packet.link === undefined) this.#host.deliver(packet);
        }
        const unknown = error instanceof BackplaneUnavailableError && error.outcome === "unknown";
        if (!unknown) return;
        await wait(RETRY_MS, undefined, { ref: false });
        this.#held ??= [];
      }
    }
  }

  /** Delivers everything the log has after the last message. */
  async #readOn(): Promise<void> {
    for (let since = this.#last; since !== null; ) {
      const page = await this.#host.read(since, PAGE);
      if (this.#closed) return;
      for (const entry of page.entries) {
        if (entry.prev !== this.#last) return await this.#lose();
        this.#deliver(entry);
      }
      if (page.next === undefined) {
        if (page.entries.length === 0 && page.end !== this.#last) await this.#lose();
        return;
      }
      since = page.next;
    }
    // Nothing was ever known: the log begins here for us.
    const { end } = await this.#host.tail(0, 0);
    const [first] = this.#held?.flatMap(({ link }) => link ?? []) ?? [];
    this.#last = first?.prev ?? end;
  }

  /** The log does not go on where we were: say so, and go on with what is new in it. */
  async #lose(): Promise<void> {
    const { entries, end } = await this.#host.tail(this.#depth, RING_BYTES);
    if (this.#closed) return;
    const live = this.#held?.flatMap(({ link }) => link ?? []) ?? [];
    const [first] = live;
    if (first !== undefined && !entries.some(({ id }) => id === first.id)) {
      // It was in the log, and what came before it was lost with it.
      this.#begin(first.prev);
      return;
    }
    const known = entries.findLastIndex(({ id }) => this.#ring.has(id) || id === this.#last);
    const unseen = entries.slice(known === -1 ? this.#firstNew(entries, live) : known + 1);
    this.#begin(unseen[0]?.prev ?? end);
    for (const entry of unseen) {
      if (entry.prev !== this.#last) this.#begin(entry.prev);
      this.#deliver(entry);
    }
  }

  /** The first entry that came after the last message, by their clocks, or that is on its way to us. */
  #firstNew(entries: readonly HistoryEntry[], live: readonly Link[]): number {
    const last = this.#last === null ? null : parsePosition(this.#last);
    const first = entries.findIndex(({ id }) => {
      const position = parsePosition(id);
      const isNewer = last !== null && position !== null && isBefore(last, position);
      return isNewer || live.some((link) => link.id === id);
    });
    return first === -1 ? entries.length : first;
  }

  #deliver({ id, prev, message, except }: HistoryEntry): void {
    const link = { id, prev };
    this.#advance({ type: "message", message, except, link }, link);
  }

  #release(): readonly MessagePacket[] {
    const held = this.#held ?? [];
    this.#held = null;
    this.#heldBytes = 0;
    return held;
  }

  /** Goes on from a position that nothing leads to. */
  #begin(position: string): void {
    this.#ring.cut();
    this.#loaded = false;
    this.#last = position;
    this.#host.gap();
  }

  /** Fills the ring with as much as a resume may ask for. */
  async #load(): Promise<void> {
    const { entries } = await this.#host.tail(this.#depth, RING_BYTES);
    await this.#settled();
    const { start } = this.#ring;
    const recent = start === null ? [] : (this.#ring.after(start) ?? []);
    // Where what was read and what is here meet.
    const joint = entries.findIndex(({ id }) => id === (start ?? this.#last));
    let first = joint;
    while (first > 0 && entries[first]?.prev === entries[first - 1]?.id) first--;
    const before = joint === -1 ? [] : entries.slice(first, joint + 1);
    this.#loaded = true;
    this.#ring.clear();
    for (const entry of before) this.#ring.push({ ...entry, size: entry.message.data.length });
    for (const entry of recent) this.#ring.push(entry);
    this.#host.resized();
  }
}
