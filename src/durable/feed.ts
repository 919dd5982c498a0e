import { setTimeout as wait } from "node:timers/promises";
import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { HistoryEntry, HistoryPage } from "../backplane/contract/history-store.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { isBefore, parsePosition } from "../protocol/position.ts";
import type { Link } from "../protocol/roomcast-v1.ts";
import { Held } from "./held.ts";
import { RecentIds } from "./recent-ids.ts";
import { Ring } from "./ring.ts";

/** Entries in one read while catching up. */
const PAGE = 200;
/** Memory of one log's recent messages, and of what waits while it is read; in bytes. */
const RING_BYTES = 1024 * 1024;
/** How many ids are remembered at least. */
const MIN_IDS = 1000;
/** How long to wait before a read that failed is tried again, and at most, in milliseconds. */
const RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** The log a feed follows, and those it is for. None but the reads may throw. */
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

/**
 *     beginning ── begin(position) ──▶ reading ◀── check, a message that does not fit ── live
 *         │                              │  └──────── read to the end, or lost ────────────▲
 *         └── begin(null) ──▶ blind ─────┘ check                    close: from any to closed
 *
 * - beginning: where the log ends is being asked; everything waits.
 * - blind: nobody could tell. Messages go through as they come; the first stored one, or the first read, shows
 *   where the log is, and members are told of a gap, since nobody knows what they missed.
 * - live: a stored message that names the last one as its predecessor goes out at once, and any ephemeral one.
 * - reading: something is missing, or may be; what comes waits until the log was read from the last message.
 */
type State =
  | { readonly name: "beginning" | "reading"; readonly held: Held }
  | { readonly name: "blind" | "live" | "closed" };

/**
 * One log as this instance hears it. Members get its messages in the order of the log, none missing and
 * none twice: each names its predecessor, and when that is not the one delivered last, newer messages wait
 * until the log was read from there. What continuity cannot be shown for is told as a gap.
 *
 * The recent messages are kept in a ring, from which clients that come back get what they missed.
 */
export class Feed {
  readonly #host: FeedHost;
  readonly #depth: number;
  readonly #ring: Ring;
  /** What was delivered, also when the ring has forgotten it. */
  readonly #delivered: RecentIds;
  #state: State = { name: "beginning", held: new Held(RING_BYTES) };
  /** The position of the message delivered last; null: not known yet. */
  #last: string | null = null;
  /** Where it began; null: not known yet, or nobody could tell. */
  #begunAt: string | null = null;
  /** Settles when the reading that is under way is over. */
  #reading: Promise<void> | null = null;
  /** Somebody asked for a look while one was under way: what that sees may be older. */
  #again = false;
  /** Fills the ring; the ring has everything a resume may ask for; or neither. */
  #filling: Promise<void> | null = null;
  #isFilled = false;
  /** When something last came, on the clock of `performance.now()`. */
  heardAt: number = performance.now();

  /** `depth`: how many messages a resume may ask for. */
  constructor(host: FeedHost, depth: number) {
    this.#host = host;
    this.#depth = depth;
    this.#ring = new Ring(depth, RING_BYTES);
    this.#delivered = new RecentIds(Math.max(depth, MIN_IDS));
  }

  get ringBytes(): number {
    return this.#ring.bytes;
  }

  /** The position of the message delivered last; null: the log could not be read yet. */
  get position(): string | null {
    return this.#last;
  }

  /** Where it began: everything after that was or will be told; null: not known yet, or nobody could tell. */
  get begunAt(): string | null {
    return this.#begunAt;
  }

  /** Whether it is being read what may have been missed. */
  get isReading(): boolean {
    return this.#state.name === "reading";
  }

  /** Resolves when that is over; never rejects. */
  async caughtUp(): Promise<void> {
    if (this.isReading) await this.#reading;
  }

  /** Begins at a position: everything after it will come or can be read. null: nobody can tell yet. */
  begin(position: string | null): void {
    if (this.#state.name !== "beginning") return;
    this.#last = position;
    this.#begunAt = position;
    if (position !== null) this.check();
    else {
      const { held } = this.#state;
      this.#state = { name: "blind" };
      for (const packet of held.packets) this.receive(packet);
    }
  }

  close(): void {
    this.#state = { name: "closed" };
  }

  /** Forgets the recent messages; they are read again when they are needed. */
  shed(): void {
    this.#ring.clear();
    this.#isFilled = false;
    this.#resized();
  }

  /** Takes what came on the log's channel. Answers how many it was or will be queued to. */
  receive(packet: MessagePacket): number {
    this.heardAt = performance.now();
    const state = this.#state;
    if (state.name === "closed") return 0;
    if ("held" in state) {
      state.held.add(packet);
      return this.#host.audience(packet);
    }
    if (packet.link === undefined) return this.#host.deliver(packet);
    const { id, prev } = packet.link;
    if (state.name === "blind") {
      this.#state = { name: "live" };
      this.#skipTo(prev);
    }
    if (prev === this.#last) return this.#advance(packet, packet.link);
    if (this.#knows(id)) return 0;
    this.#beginReading(new Held(RING_BYTES), packet);
    return this.#host.audience(packet);
  }

  /** Reads what may have been missed; newer messages wait meanwhile. */
  check(): void {
    this.heardAt = performance.now();
    const state = this.#state;
    if (state.name === "closed" || (state.name === "beginning" && this.#last === null)) return;
    if (state.name === "reading") {
      this.#again = true;
      return;
    }
    this.#beginReading("held" in state ? state.held : new Held(RING_BYTES));
  }

  /**
   * Sees to it that `recent` knows as much as can be known about a position. Reads the log only if it may be
   * ahead of what came here, or the ring does not reach back so far; once for all who ask.
   *
   * @throws BackplaneUnavailableError (as a rejection) if the log had to be read and could not be.
   */
  async prepare(position: string): Promise<void> {
    await this.#settled();
    if (this.recent(position) !== null) return;
    if (this.#isAhead(position)) {
      this.check();
      await this.#settled();
    }
    if (this.#isFilled || this.recent(position) !== null) return;
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = null;
    });
    await this.#filling;
  }

  /** What members got after a position: all of it, or null if nobody can tell. */
  recent(position: string): readonly HistoryEntry[] | null {
    return position === this.#last ? [] : this.#ring.after(position);
  }

  /** `packet`: what showed that something is missing. */
  #beginReading(held: Held, packet?: MessagePacket): void {
    // Before the read begins: it is in what will be read, or older.
    if (packet !== undefined) held.add(packet);
    this.#state = { name: "reading", held };
    this.#reading = this.#catchUp(held);
  }

  async #settled(): Promise<void> {
    while (this.#state.name === "reading") await this.#reading;
    if (this.#last !== null) return;
    throw new BackplaneUnavailableError("The log could not be read yet.", "not-stored");
  }

  #knows(id: string): boolean {
    return id === this.#last || this.#delivered.has(id) || this.#ring.has(id);
  }

  /** Whether a position was given after the last one here, by their clocks. */
  #isAhead(position: string): boolean {
    const [asked, last] = [parsePosition(position), parsePosition(this.#last ?? "")];
    return asked !== null && last !== null && isBefore(last, asked);
  }

  #advance(packet: MessagePacket, { id, prev }: Link): number {
    this.#last = id;
    // The log led back to what was delivered before it was lost.
    if (this.#delivered.has(id) || this.#ring.has(id)) return 0;
    const { message, except } = packet;
    this.#delivered.add(id);
    this.#ring.push({ id, prev, message, except });
    this.#resized();
    return this.#host.deliver(packet);
  }

  /** Never rejects. Ends when the feed is live again, or closed. */
  async #catchUp(held: Held): Promise<void> {
    let retryMs = RETRY_MS;
    while (this.#state.name === "reading") {
      this.#again = false;
      held.isIncomplete = false;
      const before = held.length;
      try {
        // What came before the read began is in what was read, or older.
        if (await this.#readOn(held)) held.forgetStored(before);
        if (!this.#again && !held.isIncomplete) break;
      } catch (error) {
        this.#host.failed(error);
        // What is stored will be read once the log can be; the rest is not kept waiting for that.
        for (const packet of held.takeEphemeral()) this.#host.deliver(packet);
        held.forgetStored(held.length);
        // Whoever finds the service again calls `check`.
        if (error instanceof BackplaneUnavailableError && error.outcome === "not-stored") break;
        await wait(retryMs, undefined, { ref: false });
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
    if (this.#state.name !== "reading") return;
    this.#state = { name: this.#last === null ? "blind" : "live" };
    for (const packet of held.packets) this.receive(packet);
  }

  /** Delivers everything the log has after the last message. Whether it does go on from there. */
  async #readOn(held: Held): Promise<boolean> {
    if (this.#last === null) {
      const { end } = await this.#host.tail(0, 0);
      const [first] = storedIn(held);
      this.#skipTo(first?.prev ?? end);
      return false;
    }
    for (let since = this.#last; ; ) {
      const page = await this.#host.read(since, PAGE);
      if (this.#state.name === "closed") return false;
      for (const entry of page.entries) {
        if (entry.prev !== this.#last) return this.#lose(held);
        this.#deliver(entry);
      }
      if (page.next === undefined) {
        if (page.entries.length > 0 || page.end === this.#last) return true;
        return this.#lose(held);
      }
      since = page.next;
    }
  }

  /** The log does not go on where we were: say so, and go on with what is new in it. Answers false. */
  async #lose(held: Held): Promise<false> {
    const { entries, end } = await this.#host.tail(this.#depth, RING_BYTES);
    if (this.#state.name === "closed") return false;
    const live = storedIn(held).filter(({ id }) => !this.#knows(id));
    const [first] = live;
    if (first !== undefined && !entries.some(({ id }) => id === first.id)) {
      // It was in the log, and what came before it was lost with it.
      this.#skipTo(first.prev);
      return false;
    }
    const known = entries.findLastIndex(({ id }) => this.#knows(id));
    const unseen = entries.slice(known === -1 ? this.#firstNew(entries, live) : known + 1);
    this.#skipTo(unseen[0]?.prev ?? end);
    for (const entry of unseen) {
      if (entry.prev !== this.#last) this.#skipTo(entry.prev);
      this.#deliver(entry);
    }
    return false;
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

  /** Goes on from a position that nothing leads to. */
  #skipTo(position: string): void {
    this.#ring.cut();
    this.#isFilled = false;
    this.#last = position;
    this.#host.gap();
  }

  /** Fills the ring with as much as a resume may ask for. */
  async #fill(): Promise<void> {
    const { entries } = await this.#host.tail(this.#depth, RING_BYTES);
    await this.#settled();
    const { start } = this.#ring;
    const recent = start === null ? [] : (this.#ring.after(start) ?? []);
    // Where what was read and what is here meet.
    const joint = entries.findIndex(({ id }) => id === (start ?? this.#last));
    let first = joint;
    while (first > 0 && entries[first]?.prev === entries[first - 1]?.id) first--;
    const before = joint === -1 ? [] : entries.slice(first, joint + 1);
    this.#isFilled = true;
    this.#ring.clear();
    for (const entry of before) this.#ring.push(entry);
    for (const entry of recent) this.#ring.push(entry);
    this.#resized();
  }

  #resized(): void {
    if (this.#state.name !== "closed") this.#host.resized();
  }
}

function storedIn(held: Held): Link[] {
  return held.packets.flatMap(({ link }) => link ?? []);
}
