import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { type WebSocket, WebSocketServer } from "ws";

/**
 * Publishes so many messages to one room in turns, and says what CPU that took. Many in a turn share the system
 * calls, so that what is left is the library's own. `room`: "plain", "log" (durable), or "ws", a loop of `ws.send`
 * over the sockets of a server without a library.
 */
export interface Publish {
  readonly room: "plain" | "log" | "ws";
  readonly count: number;
  readonly perTurn: number;
}

const text = "x".repeat(100);
const manager = new ConnectionManager({
  config: { pingIntervalMs: null },
  limits: { maxBufferedBytes: 256 * 1024 * 1024 },
  rooms: { log: { history: { maxLength: 1000, resumeLimit: 1000 } } },
});
const router = new WebSocketRouter(manager);
router.public(
  "/",
  { authorize: () => true },
  {
    open: (connection) => connection.join("plain"),
    message: () => {},
  },
);
const server = createServer();
router.attach(server);
await manager.start();

const bare = createServer();
const sockets: WebSocket[] = [];
new WebSocketServer({ server: bare }).on("connection", (socket) => sockets.push(socket));

function publish(room: Publish["room"], message: string): void {
  if (room === "ws") for (const socket of sockets) socket.send(message);
  else void manager.broadcastToRoom(room, message);
}

async function measure({ room, count, perTurn }: Publish): Promise<number> {
  if (room === "log") {
    for (const connection of manager.connections()) await manager.joinRoom(connection, room);
    // Until those that speak roomcast.v1 have said nothing for a while, they are on their way in.
    await wait(2500);
  }
  const before = process.cpuUsage();
  for (let sent = 0; sent < count; sent += perTurn) {
    for (let i = 0; i < perTurn; i++) publish(room, text);
    await nextTurn();
    await nextTurn();
  }
  const { user } = process.cpuUsage(before);
  return user / count;
}

async function listen(one: Server): Promise<number> {
  await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
  return (one.address() as AddressInfo).port;
}

process.on("message", async (question: Publish | "fill" | "cpu") => {
  if (question === "fill") {
    for (let i = 0; i < 1000; i++) {
      await manager.broadcastToRoom("log", i < 999 ? text : `${text} the last one`);
    }
    process.send?.({});
  } else if (question === "cpu") {
    const { user, system } = process.cpuUsage();
    process.send?.({ microseconds: user + system });
  } else process.send?.({ microseconds: await measure(question) });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: await listen(server), barePort: await listen(bare) });
