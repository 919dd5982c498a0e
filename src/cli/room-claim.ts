import type { Principal } from "../auth/authenticator.ts";
import type { Authorize } from "../connection/connection.ts";
import { fitsPattern } from "../protocol/pattern.ts";

/**
 * A token may limit the rooms its holder can join: its claim `rooms` lists patterns such as `chat:*`. A
 * token without the claim may join any; a claim that is no list allows none.
 */
export function mayJoin(principal: Principal | null, room: string): boolean {
  const patterns = principal?.claims.rooms;
  if (patterns === undefined) return true;
  if (!Array.isArray(patterns)) return false;
  return patterns.some((pattern) => typeof pattern === "string" && fitsPattern(room, pattern));
}

export const authorizeByRoomClaim: Authorize = ({ principal }, room) => mayJoin(principal, room);

/** Whether somebody may speak to everybody: who is limited to some rooms needs the claim `broadcast` (true) for that. */
export function mayBroadcast(principal: Principal | null): boolean {
  const { rooms, broadcast } = principal?.claims ?? {};
  return rooms === undefined ? broadcast === undefined || broadcast === true : broadcast === true;
}
