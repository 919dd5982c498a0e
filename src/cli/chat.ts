import { setTimeout as wait } from "node:timers/promises";
import type { Connection, IncomingMessage } from "../connection/connection.ts";
import { Budget } from "../limits/budget.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { BackplaneUnavailableError, MessageRefusedError } from "../protocol/errors.ts";
import { parseJson } from "../protocol/json.ts";
import { quote } from "../protocol/names.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import type { HandlerObject } from "../upgrade/handler.ts";
import { type ChatMessage, type HistoryRequest, readChatMessage } from "./chat-messages.ts";
import { toTimedJson } from "./history-json.ts";
import type { HistoryQuota } from "./history-quota.ts";
import { mayBroadcast, mayJoin } from "./room-claim.ts";

/** How many users of a room a `joined` message lists at most. */
const MAX_LISTED_USERS = 1000;

/** Names a client is told on joining rooms, in a second in the long run, and at once; more have to wait. */
const NAMES_PER_SECOND = 500;
const NAMES_AT_ONCE = 20_000;
/** Who takes nothing of a page for so long does not read it, in milliseconds. */
const STALLED_MS = 20_000;

/** A client of `/ws`, and what it has used up. */
interface Client {
  readonly connection: Connection;
  readonly names: Budget;
}

/** What answers are made with. */
interface Chat {
  readonly manager: ConnectionManager;
  readonly quota: HistoryQuota;
}

/**
 * The messages of `/ws`: rooms, broadcasts and direct messages in JSON. They are handled one after the other: while
 * an answer waits, for its turn or for its reader, so do those to what came after.
 */
export function chatHandler(manager: ConnectionManager, quota: HistoryQuota): HandlerObject {
  const chat = { manager, quota };
  const clients: WeakMap<Connection, Client> = new WeakMap();
  return {
    open(connection) {
      const names = new Budget(NAMES_PER_SECOND, NAMES_AT_ONCE, performance.now());
      clients.set(connection, { connection, names });
    },
    async message(connection, text): Promise<void> {
      const client = clients.get(connection);
      if (client !== undefined) await answer(chat, client, readMessage(text));
    },
  };
}

/** @throws MessageRefusedError saying what is wrong with it. */
function readMessage(text: IncomingMessage): ChatMessage {
  if (typeof text !== "string") {
    throw misunderstood("unsupported_data", "Send JSON as text, not bytes.");
  }
  const parsed = parseJson(text);
  if (!parsed.ok) throw misunderstood(parsed.code, parsed.message);
  const read = readChatMessage(parsed.value);
  if ("fault" in read) throw misunderstood(read.fault.code, read.fault.message);
  return read.message;
}

function misunderstood(code: string, message: string): MessageRefusedError {
  return new MessageRefusedError(code, message, { misunderstood: true });
}

function answer({ manager, quota }: Chat, client: Client, message: ChatMessage): Promise<unknown> {
  const { connection } = client;
  const from = connection.userId;
  switch (message.type) {
    case "join":
      return join(manager, client, message.room);
    case "leave":
      return leave(connection, message.room);
    case "broadcast":
      if (!mayBroadcast(connection.principal)) {
        throw new MessageRefusedError("forbidden", "You may not speak to everybody.");
      }
      return sendOrRefuse(() => manager.broadcast({ type: "message", from, data: message.data }));
    case "room_message": {
      const { room, data } = message;
      checkMember(connection, room);
      const stored = quota.admits(from ?? connection.id, room, Date.now());
      return sendOrRefuse(() =>
        manager.broadcastToRoom(
          room,
          { type: "message", from, room, data },
          stored ? {} : { persist: false },
        ),
      );
    }
    case "direct_message":
      return sendOrRefuse(() =>
        manager.sendToUser(message.to, { type: "dm", from, data: message.data }),
      );
    case "history":
      return history(manager, connection, message);
    case "ping":
      return connection.send({ type: "pong" });
  }
}

/** @throws MessageRefusedError if it is in no such room. */
function checkMember({ rooms }: Connection, room: string): void {
  if (rooms.has(room)) return;
  throw new MessageRefusedError("not_a_member", `Join the room ${quote(room)} first.`);
}

/** Redis may hang in the middle of it: then nobody knows whether others got the message, or will. */
async function sendOrRefuse(send: () => Promise<unknown>): Promise<void> {
  try {
    await send();
  } catch (cause) {
    if (!(cause instanceof BackplaneUnavailableError)) throw cause;
    const message = "Nobody knows whether the message was sent.";
    throw new MessageRefusedError("unavailable", message, { cause });
  }
}

async function join(
  manager: ConnectionManager,
  { connection, names }: Client,
  room: string,
): Promise<void> {
  const { maxRoomsPerConnection } = manager.limits;
  if (connection.rooms.size >= maxRoomsPerConnection && !connection.rooms.has(room)) {
    throw new MessageRefusedError(
      "too_many_rooms",
      `You may be in ${maxRoomsPerConnection} rooms.`,
    );
  }
  // Asked here too: what `join` says to the client has not the id of its message.
  if (!mayJoin(connection.principal, room)) {
    throw new MessageRefusedError("forbidden", "You may not join this room.");
  }
  await connection.join(room);
  const waitMs = names.wait(performance.now());
  if (waitMs > 0) await wait(waitMs, undefined, { ref: false });
  const users = await listUsers(manager, room);
  names.use(users.length, performance.now());
  await connection.send({ type: "joined", room, users });
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
  checkMember(connection, room);
  try {
    const page = await manager.history.read(room, {
      ...(since === undefined ? {} : { since }),
      ...(limit === undefined ? {} : { limit }),
    });
    await connection.send({ type: "history", room, ...toTimedJson(page) });
    await taken(connection);
  } catch (error) {
    if (error instanceof RangeError) throw new MessageRefusedError("bad_position", error.message);
    if (!(error instanceof BackplaneUnavailableError)) throw error;
    throw new MessageRefusedError("unavailable", "The history is away. Try again later.");
  }
}

/** Resolves when the reader has what it was sent, or is given up: until then it gets no further page. */
async function taken(connection: Connection): Promise<void> {
  const done = new AbortController();
  const drained = connection.drained().then(() => done.abort());
  let left = Number.POSITIVE_INFINITY;
  while (!done.signal.aborted) {
    const options = { ref: false, signal: done.signal };
    await Promise.race([drained, wait(STALLED_MS, undefined, options).catch(() => {})]);
    if (!done.signal.aborted && connection.bufferedAmount >= left) {
      connection.close(CloseCode.slowReader, "slow reader");
      return;
    }
    left = connection.bufferedAmount;
  }
}
