import type { Connection } from "../connection/connection.ts";
import { JsonGate } from "../inbound/json-gate.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { quote } from "../protocol/names.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import type { HandlerObject } from "../upgrade/handler.ts";
import { type ChatMessage, type HistoryRequest, readChatMessage } from "./chat-messages.ts";
import { toJson } from "./history-json.ts";

/** How many users of a room a `joined` message lists at most. */
const MAX_LISTED_USERS = 1000;

/** The messages of `/ws`: rooms, broadcasts and direct messages in JSON. */
export function chatHandler(manager: ConnectionManager): HandlerObject {
  const gates: WeakMap<Connection, JsonGate> = new WeakMap();
  return {
    open(connection) {
      gates.set(
        connection,
        new JsonGate({
          tell: (frame) => void connection.send(frame),
          end: (code, reason) => connection.close(code, reason),
        }),
      );
    },
    message(connection, text) {
      const gate = gates.get(connection);
      const parsed = gate?.parse(text);
      if (gate === undefined || !parsed?.ok) return;
      const read = readChatMessage(parsed.value);
      if ("fault" in read) return gate.refuse(read.fault.code, read.fault.message);
      gate.accept();
      return answer(manager, connection, read.message);
    },
  };
}

function answer(
  manager: ConnectionManager,
  connection: Connection,
  message: ChatMessage,
): Promise<unknown> {
  const from = connection.userId;
  switch (message.type) {
    case "join":
      return join(manager, connection, message.room);
    case "leave":
      return leave(connection, message.room);
    case "broadcast":
      return sendOrSay(connection, () =>
        manager.broadcast({ type: "message", from, data: message.data }),
      );
    case "room_message": {
      const { room, data } = message;
      if (!connection.rooms.has(room)) {
        return refuse(connection, "not_a_member", `Join the room ${quote(room)} first.`);
      }
      return sendOrSay(connection, () =>
        manager.broadcastToRoom(room, { type: "message", from, room, data }),
      );
    }
    case "direct_message":
      return manager.sendToUser(message.to, { type: "dm", from, data: message.data });
    case "history":
      return history(manager, connection, message);
    case "ping":
      return connection.send({ type: "pong" });
  }
}

/** Redis may hang in the middle of it: then nobody knows whether others got the message, or will. */
async function sendOrSay(connection: Connection, send: () => Promise<unknown>): Promise<unknown> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof BackplaneUnavailableError)) throw error;
    return refuse(connection, "unavailable", "Nobody knows whether the message was sent.");
  }
}

async function join(
  manager: ConnectionManager,
  connection: Connection,
  room: string,
): Promise<void> {
  const { maxRoomsPerConnection } = manager.limits;
  if (connection.rooms.size >= maxRoomsPerConnection && !connection.rooms.has(room)) {
    await refuse(connection, "too_many_rooms", `You may be in ${maxRoomsPerConnection} rooms.`);
    return;
  }
  await connection.join(room);
  // Refused, and told so.
  if (!connection.rooms.has(room)) return;
  await connection.send({ type: "joined", room, users: await listUsers(manager, room) });
}

/** While the backplane is away: those of this instance. */
async function listUsers(manager: ConnectionManager, room: string): Promise<string[]> {
  const users: string[] = [];
  try {
    for await (const user of manager.presence.roomUsers(room)) {
      users.push(user);
      if (users.length === MAX_LISTED_USERS) break;
    }
    return users;
  } catch (error) {
    if (!(error instanceof BackplaneUnavailableError)) throw error;
    return manager.roomUsers(room).slice(0, MAX_LISTED_USERS);
  }
}

async function leave(connection: Connection, room: string): Promise<void> {
  await connection.leave(room);
  await connection.send({ type: "left", room });
}

async function history(
  manager: ConnectionManager,
  connection: Connection,
  { room, since, limit }: HistoryRequest,
): Promise<void> {
  if (!connection.rooms.has(room)) {
    await refuse(connection, "not_a_member", `Join the room ${quote(room)} first.`);
    return;
  }
  try {
    const page = await manager.history.read(room, {
      ...(since === undefined ? {} : { since }),
      ...(limit === undefined ? {} : { limit }),
    });
    await connection.send({ type: "history", room, ...toJson(page) });
  } catch (error) {
    if (error instanceof RangeError) await refuse(connection, "bad_position", error.message);
    else if (error instanceof BackplaneUnavailableError) {
      await refuse(connection, "unavailable", "The history is away. Try again later.");
    } else throw error;
  }
}

function refuse(connection: Connection, code: string, message: string): Promise<unknown> {
  return connection.send({ type: "error", code, message });
}
