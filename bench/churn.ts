import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { Process } from "./process.ts";

const HELP = `Usage: npm run bench:churn

10,000 connections join and leave rooms and disconnect at random, then all go. Prints what is left: in
the registry, on the heap, in timers and listeners. Ends with code 1 if anything is.
`;
if (process.argv.includes("--help")) {
  process.stdout.write(HELP);
  process.exit();
}
const { gc } = globalThis;
if (gc === undefined) throw new Error("Run this with node --expose-gc.");

const CONNECTIONS = 10_000;
const ROOMS = 500;
/** A heap that was used once keeps some more: caches, compiled code. */
const WARM_UP = 1000;

const manager = new ConnectionManager({ offlineGraceMs: 0 });
const router = new WebSocketRouter(manager, {
  authenticate: (request) => ({
    id: new URLSearchParams(request.url?.split("?")[1]).get("user") ?? "nobody",
    scopes: [],
    claims: {},
    via: "bench",
  }),
});
router.protected("/", {
  message: async (connection) => {
    const room = `room ${Math.floor(Math.random() * ROOMS)}`;
    if (connection.rooms.has(room)) await connection.leave(room);
    else await connection.join(room);
    await manager.broadcastToRoom(room, { user: connection.userId, room }, { except: connection });
  },
});
const server = createServer();
router.attach(server);
await manager.start();
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
const clients = new Process("./churn-clients.ts", 1);

interface Footprint {
  readonly heap: number;
  readonly timers: number;
  readonly listeners: number;
}

async function footprint(): Promise<Footprint> {
  // Closed sockets let go of their buffers over some turns.
  for (let i = 0; i < 5; i++) {
    await wait(200);
    gc?.();
  }
  const events = ["upgrade", "connection", "close", "error"];
  return {
    heap: process.memoryUsage().heapUsed,
    timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length,
    listeners: events.reduce((sum, event) => sum + server.listenerCount(event), 0),
  };
}

async function churn(connections: number): Promise<void> {
  await clients.ask({ port, connections });
  while (manager.connectionCount > 0) await wait(50);
}

await churn(WARM_UP);
await churn(CONNECTIONS);
const before = await footprint();
console.log(`${CONNECTIONS} connections in ${ROOMS} rooms, at random, then all gone`);
await churn(CONNECTIONS);
const after = await footprint();
const online = await manager.health();
const left = {
  connections: manager.connectionCount,
  rooms: manager.roomCount,
  users: manager.activeUsers.length,
  online: online.global_online_users,
  timers: after.timers - before.timers,
  listeners: after.listeners - before.listeners,
};
const growth = (after.heap / before.heap - 1) * 100;
console.log(`  left: ${JSON.stringify(left)}`);
console.log(
  `  heap: ${(before.heap / 1e6).toFixed(1)} MB before, ${(after.heap / 1e6).toFixed(1)} MB after (${growth.toFixed(1)} %)`,
);
await clients.end();
const clean = Object.values(left).every((count) => count <= 0) && growth < 5;
console.log(clean ? "  nothing is left" : "  SOMETHING IS LEFT");
process.exit(clean ? 0 : 1);
