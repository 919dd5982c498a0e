import { type JoinedFrame, type Link, MAX_RESUMED_ROOMS } from "../protocol/roomcast-v1.ts";
import type { MessageInfo } from "./events.ts";

/** How many ids of a room are remembered, to recognise what comes again. */
const REMEMBERED = 1000;

/** Where one room stands. */
interface Place {
  /** What came last; null: nothing yet. */
  received: string | null;
  /** The next message begins a new chain. */
  broken?: boolean;
  /** What the application took last. */
  taken: string | null;
  readonly recent: Set<string>;
}

/**
 * Where a client stands in each durable room (docs/PROTOCOL.md, sections 6 and 7). What has come and what the
 * application has taken are two places: a reconnect goes on after the one, a page that is loaded anew after the
 * other.
 */
export interface Positions {
  /** Where the application stands. */
  taken(): Record<string, string>;
  /** What a new connection asks for: at most 100 rooms, those first that were there first. */
  resume(): Record<string, string>;
  /** A message came. "gap": the one before it did not. */
  received(room: string, link: Link): "next" | "duplicate" | "gap";
  /** The application is past this. Without a room or an id it stands nowhere. */
  took(info: MessageInfo): void;
  /** "gap": messages before this were lost. Undefined: there was nothing to lose. */
  joined(frame: JoinedFrame): "recovered" | "gap" | undefined;
  /** The log itself lost messages: what comes next begins a new chain. If nothing does, a new connection will tell. */
  lost(room: string): void;
  left(room: string): void;
}

export function createPositions(from: Readonly<Record<string, string>>): Positions {
  const rooms: Map<string, Place> = new Map();

  function placeOf(room: string, at: string | null = null): Place {
    const place = rooms.get(room) ?? { received: at, taken: at, recent: new Set() };
    rooms.set(room, place);
    return place;
  }

  function pick(at: (place: Place) => string | null, limit?: number): Record<string, string> {
    const known = [...rooms]
      .map(([room, place]) => [room, at(place)] as const)
      .filter((entry): entry is readonly [string, string] => entry[1] !== null);
    // Not by assignment: a room may be called `__proto__`.
    return Object.fromEntries(known.slice(0, limit));
  }

  for (const [room, position] of Object.entries(from)) placeOf(room, position);
  return {
    taken: () => pick((place) => place.taken),
    resume: () => pick((place) => place.received, MAX_RESUMED_ROOMS),
    received: (room, { id, prev }) => {
      const place = placeOf(room);
      const { recent, received, broken } = place;
      if (recent.has(id)) return "duplicate";
      place.received = id;
      place.broken = false;
      recent.add(id);
      const [oldest = ""] = recent;
      if (recent.size > REMEMBERED) recent.delete(oldest);
      return broken || !received || received === prev ? "next" : "gap";
    },
    took: ({ room = "", id }) => {
      const place = rooms.get(room);
      if (place && id) place.taken = id;
    },
    joined: ({ room, recovered, position }) => {
      if (recovered) return "recovered";
      const place = placeOf(room);
      const { received } = place;
      place.received = position;
      // It was not asked for, as too many others were, and has moved on.
      const missed = received && received !== position;
      return recovered === false || missed ? "gap" : undefined;
    },
    lost: (room) => {
      placeOf(room).broken = true;
    },
    left: (room) => void rooms.delete(room),
  };
}
