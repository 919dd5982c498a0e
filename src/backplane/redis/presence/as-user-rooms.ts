import type { AsUserRecord } from "../../core/change.ts";

/** How many rooms a user has left are remembered. */
const REMEMBERED = 64;

interface Known {
  /** The last change of each room. */
  readonly rooms: Map<string, AsUserRecord>;
  /** The highest version of all. */
  highest: number;
}

/** What this instance knows of the rooms its users are in as users, and were: the last change of each. */
export class AsUserRooms {
  readonly #users: Map<string, Known> = new Map();

  /** Takes note of a change. Whether what was known is not newer. */
  note(change: AsUserRecord): boolean {
    const { user, room, version } = change;
    const known = this.#users.get(user) ?? { rooms: new Map(), highest: 0 };
    const before = known.rooms.get(room);
    if (before !== undefined && before.version > version) return false;
    this.#users.set(user, known);
    known.highest = Math.max(known.highest, version);
    known.rooms.delete(room);
    known.rooms.set(room, change);
    if (known.rooms.size > REMEMBERED) forgetLeft(known.rooms);
    return true;
  }

  /** Whether exactly this is known. */
  has({ user, room, version }: AsUserRecord): boolean {
    return this.#users.get(user)?.rooms.get(room)?.version === version;
  }

  /** Whether the user is in the room as a user, as far as is known. */
  isJoined(user: string, room: string): boolean {
    return this.#users.get(user)?.rooms.get(room)?.joined ?? false;
  }

  /** No lower than that of anything that is known of the user. */
  highest(user: string): number {
    return this.#users.get(user)?.highest ?? 0;
  }

  of(user: string): Iterable<AsUserRecord> {
    return this.#users.get(user)?.rooms.values() ?? [];
  }

  forget(user: string): void {
    this.#users.delete(user);
  }
}

/** The one that was left longest ago goes first. */
function forgetLeft(rooms: Map<string, AsUserRecord>): void {
  for (const [room, { joined }] of rooms) {
    if (joined) continue;
    rooms.delete(room);
    return;
  }
}
