import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { report } from "./report.ts";

/** One room; what a client sends goes to everybody in it. */
const manager = new ConnectionManager({
  config: { pingIntervalMs: null },
  limits: { maxBufferedBytes: 64 * 1024 * 1024 },
});
const router = new WebSocketRouter(manager);
router.public("/", {
  open: (connection) => connection.join("bench"),
  message: (_connection, message) => {
    void manager.broadcastToRoom("bench", message);
  },
});
const server = createServer();
router.attach(server);
await manager.start();
server.listen(0, "127.0.0.1", () => report(server));
