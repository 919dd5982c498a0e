import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { redisBackplane } from "roomcast/redis";
import { report } from "./report.ts";

/** Many rooms on one instance of several: `/?room=name`; what a client sends goes to everybody in its room. */
const manager = new ConnectionManager({
  backplane: redisBackplane({ url: process.env.BENCH_REDIS ?? "" }),
  config: { pingIntervalMs: null },
  limits: { maxBufferedBytes: 64 * 1024 * 1024 },
});
const router = new WebSocketRouter(manager);
const rooms = new WeakMap<object, string>();
router.public("/", {
  open: async (connection, { query }) => {
    const room = query.get("room") ?? "";
    rooms.set(connection, room);
    await connection.join(room);
  },
  message: (connection, message) => {
    void manager.broadcastToRoom(rooms.get(connection) ?? "", message);
  },
});
const server = createServer();
router.attach(server);
await manager.start();
server.listen(0, "127.0.0.1", () => report(server));
