import type { Exclusion } from "../backplane/contract/broker.ts";
import type { AnyConnection } from "../connection/connection.ts";

/** Whom a message leaves out: a connection, ids of connections, or users. */
export type Except =
  | string
  | AnyConnection
  | Iterable<string | AnyConnection>
  | { readonly users: Iterable<string> };

const NOT_ALLOWED = "except must be a connection, ids of connections, or { users: [...] }.";

/**
 * What travels with a message; null if nobody is left out.
 *
 * @throws TypeError if `except` is none of the allowed.
 */
export function toExclusion(except: Except | undefined): Exclusion | null {
  if (except === undefined || except === null) return null;
  const connections: string[] = [];
  const users: string[] = [];
  if (typeof except === "string") connections.push(except);
  else if (typeof except !== "object") throw new TypeError(NOT_ALLOWED);
  else if ("users" in except) users.push(...strings(except.users));
  else if ("id" in except) connections.push(idOf(except));
  else if (isIterable(except)) for (const one of except) connections.push(idOf(one));
  else throw new TypeError(NOT_ALLOWED);
  return connections.length + users.length === 0 ? null : { connections, users };
}

function idOf(one: unknown): string {
  if (typeof one === "string") return one;
  if (typeof one === "object" && one !== null && "id" in one && typeof one.id === "string") {
    return one.id;
  }
  throw new TypeError("except may list connections and ids of connections only.");
}

function strings(users: unknown): string[] {
  const list = isIterable(users) && typeof users !== "string" ? [...users] : [undefined];
  return list.map((user) => {
    if (typeof user === "string") return user;
    throw new TypeError("except.users must be a list of user ids.");
  });
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}
