import type { PresenceStore } from "../backplane/contract/presence-store.ts";
import type { Join } from "./contract.ts";

/** A limit on the places of a user. */
export const LIMIT = { max: 2, whenFull: "reject" } as const;

/** The presence of two instances of one cluster. */
export async function two(join: Join): Promise<{ here: PresenceStore; there: PresenceStore }> {
  return { here: (await join("here")).presence, there: (await join("there")).presence };
}
