import type { UserLimit } from "../contract/presence-store.ts";

/** The place of everyone online. */
export const ONLINE = "online";

export function roomPlace(room: string): string {
  return `room:${room}`;
}

/** The rooms of a user: which user is in a room, the other way round. */
export function roomsPlace(user: string): string {
  return `rooms:${user}`;
}

/**
 * Something an instance states in the cluster, as its own: it holds a member of a place, it holds a connection
 * whose id its caller chose, or one of a user's places is taken by a connection of its own.
 */
export type Subject =
  | { readonly kind: "member"; readonly place: string; readonly member: string }
  | { readonly kind: "claim"; readonly id: string }
  | { readonly kind: "seat"; readonly user: string; readonly connection: string };

/** A record as it is written, or taken away. */
export type Change =
  /** `value` is that of the member. `lost`: it was there, and everybody was told so, before the service lost it. */
  | {
      readonly type: "add";
      readonly subject: Member;
      readonly value: string;
      readonly lost: boolean;
    }
  /** `restored`: it was claimed before; whoever has claimed it since keeps it. */
  | { readonly type: "add"; readonly subject: Claim; readonly restored: boolean }
  /** A limit of null: it was granted before, or nobody could be asked. */
  | { readonly type: "add"; readonly subject: Seat; readonly limit: UserLimit | null }
  | { readonly type: "remove"; readonly subject: Subject }
  /** Whether a member was new to its place, which nobody could say when it was added. */
  | { readonly type: "judge"; readonly subject: Member }
  /**
   * A room as a user, which nobody owns: the change with the highest version holds. Version 0: it is made at
   * this moment, by the clock of the service.
   */
  | { readonly type: "as-user"; readonly change: AsUserRecord };

export type Member = Extract<Subject, { kind: "member" }>;
export type Claim = Extract<Subject, { kind: "claim" }>;
export type Seat = Extract<Subject, { kind: "seat" }>;

export interface AsUserRecord {
  readonly user: string;
  readonly room: string;
  readonly joined: boolean;
  readonly version: number;
}

/** What a change has come to. */
export type Outcome =
  /**
   * Whether the member is new to the place, or gone from it; null: others may not have written again yet that they
   * hold it, so it is to be judged later. Of one who came online: their rooms as a user.
   */
  | {
      readonly type: "member";
      readonly changed: boolean | null;
      readonly rooms: readonly AsUserRecord[];
    }
  /** The other instance that held the id until now. */
  | { readonly type: "claim"; readonly before: string | null }
  | { readonly type: "seat"; readonly granted: boolean; readonly replaced: readonly string[] }
  /**
   * Whether it is new; null: the user is not known to be online again, so it is to be made later. `holders`: how many
   * incarnations hold the user.
   */
  | {
      readonly type: "as-user";
      readonly changed: boolean | null;
      readonly version: number;
      readonly holders: number;
    }
  /** The service cannot take this one, whatever the reason; the others of the batch it has taken. */
  | { readonly type: "failed"; readonly error: Error };

/** What a record is known by among those of one incarnation. Names hold no control characters. */
export function recordId(subject: Subject): string {
  switch (subject.kind) {
    case "member":
      return `m${subject.place}\n${subject.member}`;
    case "claim":
      return `c${subject.id}`;
    default:
      return `s${subject.user}\n${subject.connection}`;
  }
}

/** The other way round; null for what is no record. */
export function subjectOf(id: string): Subject | null {
  const [first = "", second] = id.slice(1).split("\n");
  if (id.startsWith("c")) return { kind: "claim", id: first };
  if (second === undefined) return null;
  if (id.startsWith("m")) return { kind: "member", place: first, member: second };
  if (id.startsWith("s")) return { kind: "seat", user: first, connection: second };
  return null;
}
