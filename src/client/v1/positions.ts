import { type Link, MAX_RESUMED_ROOMS } from "../../protocol/roomcast-v1.ts";
import type { Step } from "../messages/receive-queue.ts";

/** How many ids of a room are remembered, to recognise what comes again. */
const REMEMBERED = 1000;

/** Where one room stands. */
interface Place {
  /** What came last; null: nothing yet, or the room has no log. */
  received: string | null;
  /** The next message begins a new chain. */
  broken: boolean;
  /** What the application took last. */
  taken: Step | null;
  readonly recent: Set<string>;
}

/** What a new connection asks for: the position in each room, null without one; true: to be in it. */
export interface ResumeFrame {
  readonly type: "resume";
  readonly rooms: Readonly<Record<string, string | null | true>>;
  readonly connection: string | undefined;
  /** Whether others follow. */
  readonly more: boolean;
}

/**
 * Which rooms a client is in, and where it stands in each durable one (docs/PROTOCOL.md, sections 6 and 7). What has
 * come and what the application has taken are two places: a reconnect goes on after the one, a page that is loaded
 * anew after the other.
 */
export class Positions {
  readonly #places: Map<string, Place> = new Map();
  /** Rooms that the client wants to have left: until the server says so too, what comes of them counts for nothing. */
  readonly #leaving: Set<string> = new Set();
  #order = 0;
  /** What the first connection was called: for a client nobody knows, its ids of messages go with that. */
  origin: string | undefined;

  /**
   * What each position is worth, the server says: one that is none is a gap of its room.
   *
   * @throws TypeError if these are no positions by room.
   */
  constructor(from: unknown) {
    if (typeof from !== "object" || from === null || Array.isArray(from)) {
      throw new TypeError("resumeFrom must be positions by room.");
    }
    for (const [room, position] of Object.entries(from)) {
      this.#placeOf(room, typeof position === "string" ? position : "none");
    }
  }

  /** Where the application stands. */
  taken(): Record<string, string> {
    const known = [...this.#places].flatMap(([room, { taken }]) =>
      taken ? [[room, taken.id] as const] : [],
    );
    // Not by assignment: a room may be called `__proto__`.
    return Object.fromEntries(known);
  }

  /** What a new connection asks for: the rooms there were, and these. At least one frame. */
  resume(wanted: readonly string[]): ResumeFrame[] {
    this.#leaving.clear();
    const asked = new Map<string, string | null | true>(wanted.map((room) => [room, true]));
    for (const [room, { received }] of this.#places) asked.set(room, received);
    const left = [...asked];
    const frames: ResumeFrame[] = [];
    do {
      const rooms = Object.fromEntries(left.splice(0, MAX_RESUMED_ROOMS));
      frames.push({ type: "resume", rooms, connection: this.origin, more: left.length > 0 });
    } while (left.length > 0);
    return frames;
  }

  /** Whether the client is in the room, or was when it was last connected. */
  has(room: string): boolean {
    return this.#places.has(room);
  }

  /** A message came. "gap": the one before it did not. */
  received(room: string, { id, prev }: Link): "next" | "duplicate" | "gap" {
    if (this.#leaving.has(room)) return "next";
    const place = this.#placeOf(room);
    const { recent, received, broken } = place;
    if (id === received || recent.has(id)) return "duplicate";
    place.received = id;
    place.broken = false;
    recent.add(id);
    const [oldest = ""] = recent;
    if (recent.size > REMEMBERED) recent.delete(oldest);
    return broken || !received || received === prev ? "next" : "gap";
  }

  /** What the application is past when it has taken what came until now. */
  step(room: string, id: string): Step {
    return { room, id, order: ++this.#order };
  }

  /** The application is past this; what came before it does not take it back. */
  took(step: Step | undefined): void {
    const place = step && this.#places.get(step.room);
    if (place && step.order > (place.taken?.order ?? 0)) place.taken = step;
  }

  /**
   * The client is in the room. "gap": messages before this were lost. Undefined: there was nothing to lose.
   *
   * @param recovered anything but true and false: nothing was asked
   */
  joined(
    room: string,
    recovered: unknown,
    position: string | null = null,
  ): "recovered" | "gap" | undefined {
    if (this.#leaving.has(room)) return undefined;
    const place = this.#placeOf(room);
    if (recovered) return "recovered";
    const { received } = place;
    place.received = position;
    // It was not asked for, or not in time, and has moved on.
    const missed = received && received !== position;
    return recovered === false || missed ? "gap" : undefined;
  }

  /** The log itself lost messages: what comes next begins a new chain. If nothing does, a new connection will tell. */
  lost(room: string): void {
    const place = this.#places.get(room);
    if (place) place.broken = true;
  }

  /** The position is none for the server. False: there is none. */
  drop(room: string): boolean {
    const place = this.#places.get(room);
    if (!place || place.received === null) return false;
    place.received = null;
    place.taken = null;
    return true;
  }

  /** The client wants to be in the room. */
  join(room: string): void {
    this.#leaving.delete(room);
  }

  /** The client does not want to be in the room any more. */
  leave(room: string): void {
    this.#places.delete(room);
    this.#leaving.add(room);
  }

  /** The server has taken the client out of the room. */
  left(room: string): void {
    this.#places.delete(room);
    this.#leaving.delete(room);
  }

  #placeOf(room: string, at?: string): Place {
    let place = this.#places.get(room);
    if (!place) {
      const taken = at === undefined ? null : this.step(room, at);
      place = { received: at ?? null, broken: false, taken, recent: new Set() };
      this.#places.set(room, place);
    }
    return place;
  }
}
