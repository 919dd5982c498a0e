/** What an operator may do, with the key of this tab if there is one. */
const KEY = "roomcast.operator-key";

/** Whether this browser may see the dashboard; `closed` says why not, and a key would not help. */
export type Access = "open" | "key" | "wrong-key" | "wait" | "closed";

export function operatorKey(): string | null {
  return sessionStorage.getItem(KEY);
}

export function setOperatorKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

export async function checkAccess(): Promise<Access> {
  const { status } = await request("GET", "ws/stats");
  if (status === 401) return operatorKey() === null ? "key" : "wrong-key";
  if (status === 429) return "wait";
  return status === 403 ? "closed" : "open";
}

export interface Answer {
  readonly status: number;
  /** What the server says; null: nothing, or nothing that can be read. */
  readonly body: unknown;
}

/** Asks the server that sent this page. */
async function request(method: string, path: string, body?: unknown): Promise<Answer> {
  const key = operatorKey();
  const response = await fetch(new URL(`/${path}`, location.href), {
    method,
    headers: {
      ...(key !== null && { Authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  try {
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  } catch {
    return { status: response.status, body: null };
  }
}

/** The users in a room, wherever they are. */
export function usersOf(room: string): Promise<Answer> {
  return request("GET", `api/rooms/${encodeURIComponent(room)}/users`);
}

export function presenceOf(user: string): Promise<Answer> {
  return request("GET", `api/users/${encodeURIComponent(user)}`);
}

export function kick(user: string): Promise<Answer> {
  return request("DELETE", `api/users/${encodeURIComponent(user)}/connections`);
}

/** To everybody, or to a room. */
export function announce(text: string, room: string): Promise<Answer> {
  const path = room === "" ? "api/broadcast" : `api/rooms/${encodeURIComponent(room)}/messages`;
  return request("POST", path, { data: text, from: "operator" });
}
