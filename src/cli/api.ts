import type { IncomingMessage } from "node:http";
import type { Delivery } from "../connection/connection.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { isName } from "../protocol/names.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import { RoutePath } from "../upgrade/route-path.ts";
import { type ApiMessage, readApiMessage } from "./api-message.ts";
import { toJson } from "./history-json.ts";
import { HttpError } from "./http-error.ts";
import { readJson } from "./http-json.ts";

/** A request of the HTTP API. */
interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
}

/** What is answered; undefined: nothing but that it was done. */
type Operation = (manager: ConnectionManager, call: Call) => Promise<unknown>;

/** How many users of a room one answer lists at most. */
const MAX_LISTED_USERS = 10_000;
/** What a message's JSON may take besides its data. */
const ENVELOPE_BYTES = 1024;

const OPERATIONS: readonly { method: string; pattern: string; run: Operation }[] = [
  { method: "POST", pattern: "/api/broadcast", run: broadcast },
  { method: "POST", pattern: "/api/rooms/:room/messages", run: sendToRoom },
  { method: "GET", pattern: "/api/rooms/:room/history", run: readHistory },
  { method: "GET", pattern: "/api/rooms/:room/users", run: listUsers },
  { method: "POST", pattern: "/api/users/:user/messages", run: sendToUser },
  { method: "GET", pattern: "/api/users/:user", run: describeUser },
  { method: "DELETE", pattern: "/api/users/:user/connections", run: disconnectUser },
];

/** Its operations, such as `GET /api/users/:user`. */
export const API_OPERATIONS: readonly string[] = OPERATIONS.map(
  ({ method, pattern }) => `${method} ${pattern}`,
);

const ROUTES = OPERATIONS.map((operation) => ({
  ...operation,
  path: new RoutePath(operation.pattern),
}));

/**
 * Does what a request to `/api/...` asks for, and answers with the result.
 *
 * @throws HttpError saying what is allowed.
 */
export async function callApi(
  manager: ConnectionManager,
  request: IncomingMessage,
  path: string,
  query: URLSearchParams,
): Promise<unknown> {
  const matching = ROUTES.filter((route) => route.path.match(path) !== null);
  if (matching.length === 0) {
    throw new HttpError(404, "not_found", `There are: ${API_OPERATIONS.join(", ")}.`);
  }
  const method = request.method === "HEAD" ? "GET" : request.method;
  const route = matching.find((candidate) => candidate.method === method);
  if (route === undefined) {
    const allowed = matching.map((candidate) => candidate.method).join(", ");
    const headers = { Allow: allowed };
    throw new HttpError(405, "method_not_allowed", `Allowed here: ${allowed}.`, headers);
  }
  const params = route.path.match(path) ?? {};
  for (const [field, value] of Object.entries(params)) checkField(field, value);
  return route.run(manager, { params, query, request });
}

async function broadcast(manager: ConnectionManager, call: Call): Promise<Delivery> {
  const { data, from, persist } = await readMessage(manager, call);
  if (persist === true) {
    throw new HttpError(400, "bad_field", "persist may be true for messages to rooms only.");
  }
  return manager.broadcast({ type: "message", from, data });
}

async function sendToRoom(manager: ConnectionManager, call: Call): Promise<Delivery> {
  const room = call.params.room ?? "";
  const { data, from, persist } = await readMessage(manager, call);
  const message = { type: "message", from, room, data };
  try {
    return await manager.broadcastToRoom(room, message, persist === undefined ? {} : { persist });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new HttpError(400, "bad_field", error.message);
  }
}

async function sendToUser(manager: ConnectionManager, call: Call): Promise<Delivery> {
  const { data, from, persist } = await readMessage(manager, call);
  if (persist === true) {
    throw new HttpError(400, "bad_field", "persist may be true for messages to rooms only.");
  }
  return manager.sendToUser(call.params.user ?? "", { type: "dm", from, data });
}

async function readHistory(manager: ConnectionManager, { params, query }: Call): Promise<unknown> {
  const since = query.get("since");
  const limit = query.get("limit");
  try {
    const page = await manager.history.read(params.room ?? "", {
      ...(since !== null && { since }),
      ...(limit !== null && { limit: Number(limit) }),
    });
    return toJson(page);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new HttpError(400, "bad_field", error.message);
  }
}

async function listUsers(manager: ConnectionManager, { params }: Call): Promise<unknown> {
  const room = params.room ?? "";
  const users: string[] = [];
  for await (const user of manager.presence.roomUsers(room)) {
    users.push(user);
    if (users.length === MAX_LISTED_USERS) break;
  }
  return { users, count: await manager.presence.roomUserCount(room) };
}

async function describeUser(manager: ConnectionManager, { params }: Call): Promise<unknown> {
  return manager.presence.get(params.user ?? "");
}

async function disconnectUser(manager: ConnectionManager, { params }: Call): Promise<void> {
  await manager.disconnectUser(params.user ?? "", {
    code: CloseCode.forbidden,
    reason: "disconnected by an operator",
  });
}

async function readMessage(manager: ConnectionManager, { request }: Call): Promise<ApiMessage> {
  const limit = manager.config.maxMessageSize + ENVELOPE_BYTES;
  return readApiMessage(await readJson(request, limit));
}

function checkField(field: string, value: string): void {
  if (isName(value)) return;
  const allowed = "1 to 256 bytes without control characters, { or }";
  throw new HttpError(400, "bad_field", `${field} must be ${allowed}.`);
}
