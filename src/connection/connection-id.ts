import { checkName } from "../protocol/names.ts";
import { randomText } from "../protocol/random.ts";

/** Ids made here begin with this; those a caller chooses must not. */
const MARK = "~";

/** An id unique in the cluster, which tells the instance that holds the connection. */
export function makeConnectionId(instance: string): string {
  return `${MARK}${instance}${MARK}${randomText(9)}`;
}

export function makeInstanceId(): string {
  return randomText(9);
}

/** The instance an id made here tells; null for an id its caller chose. */
export function instanceOf(connectionId: string): string | null {
  if (!connectionId.startsWith(MARK)) return null;
  return connectionId.slice(MARK.length, connectionId.lastIndexOf(MARK));
}

/** @throws TypeError or RangeError if `id` may not be chosen as a connection's id. */
export function checkOwnConnectionId(id: unknown): string {
  const name = checkName("connection id", id);
  if (name.startsWith(MARK)) {
    throw new RangeError(`A connection id must not begin with ${MARK}: such ids are made here.`);
  }
  return name;
}
