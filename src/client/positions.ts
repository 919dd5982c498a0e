import { type JoinedFrame, type Link, MAX_RESUMED_ROOMS } from "../protocol/roomcast-v1.ts";
import type { MessageInfo } from "./inbox.ts";

/** How many ids of a room are remembered, to recognise what comes again. */
const REMEMBERED = 1000;

/** Where one room stands. */
interface Place {
  /** What came last; null: the next message begins a new chain. */
  received: string | null;
  /** What the application took last. */
  taken: string | null;
  readonly recent: Set<string>;
}

/**
 * Where a client stands in each durable room (docs/PROTOCOL.md, sections 6 and 7). What has come and what the
 * application has taken are two places: a reconnect goes on after the one, a page that is loaded anew after the
 * other.
 */
export class Positions {
  readonly #rooms: Map<string, Place> = new Map();

  constructor(from: Readonly<Record<string, string>>) {
    for (const [room, position] of Object.entries(from)) {
      const place = this.#place(room);
      place.received = position;
      place.taken = position;
    }
  }

  /** Where the application stands. */
  get taken(): Record<string, string> {
    return this.#pick("taken");
  }

  /** What a new connection asks for: at most 100 rooms, those first that were there first. */
  resume(): Record<string, string> {
    return this.#pick("received", MAX_RESUMED_ROOMS);
  }

  /** A message came. "gap": the one before it did not. */
  received(room: string, { id, prev }: Link): "next" | "duplicate" | "gap" {
    const place = this.#place(room);
    const { recent, received } = place;
    if (recent.has(id)) return "duplicate";
    place.received = id;
    recent.add(id);
    const [oldest = ""] = recent;
    if (recent.size > REMEMBERED) recent.delete(oldest);
    return received === null || received === prev ? "next" : "gap";
  }

  /** The application is past this. Without a room or an id it stands nowhere. */
  took({ room = "", id }: Partial<MessageInfo>): void {
    const place = this.#rooms.get(room);
    if (place !== undefined && id !== undefined) place.taken = id;
  }

  /** "gap": messages before this were lost. "new": there was nothing to lose. */
  joined({ room, recovered, position }: JoinedFrame): "recovered" | "gap" | "new" {
    if (recovered) return "recovered";
    const place = this.#place(room);
    const { received } = place;
    place.received = position;
    // It was not asked for, as too many others were, and has moved on.
    const missed = received !== null && received !== position;
    return recovered === false || missed ? "gap" : "new";
  }

  /** The log itself lost messages: what comes next begins a new chain. */
  lost(room: string): void {
    this.#place(room).received = null;
  }

  left(room: string): void {
    this.#rooms.delete(room);
  }

  #pick(which: "received" | "taken", limit?: number): Record<string, string> {
    const known = [...this.#rooms].flatMap(([room, { [which]: position }]) =>
      position === null ? [] : [[room, position] as const],
    );
    // Not by assignment: a room may be called `__proto__`.
    return Object.fromEntries(known.slice(0, limit));
  }

  #place(room: string): Place {
    const place = this.#rooms.get(room) ?? { received: null, taken: null, recent: new Set() };
    this.#rooms.set(room, place);
    return place;
  }
}
