import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionManager, WebSocketRouter } from "roomcast";

/**
 * In one turn of the event loop many members of a room send to the others. Measures how long the turns
 * after it are: one that is long holds up everybody, whatever the throughput.
 */
const manager = new ConnectionManager();
const router = new WebSocketRouter(manager);
router.public("/", { open: (connection) => connection.join("bench") });
const server = createServer();
router.attach(server);
await manager.start();

let last = performance.now();
let longest = 0;
/** Runs once in every turn, so the time between two calls is the length of a turn. */
function watchTurns(): void {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
  setImmediate(watchTurns);
}

process.on("message", ({ senders }: { senders: number }) => {
  longest = 0;
  for (const connection of manager.connections().slice(0, senders)) {
    void manager.broadcastToRoom("bench", `from ${connection.id}`, { except: connection });
  }
  // Long enough after the last byte was written that every turn of it is counted.
  setTimeout(() => process.send?.({ longest }), 500);
});
process.on("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => {
  watchTurns();
  process.send?.({ port: (server.address() as AddressInfo).port });
});
