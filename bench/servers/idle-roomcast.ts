import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { report } from "./report.ts";

/** Each connection is authenticated, belongs to a user of its own and is in two rooms; pings as by default. */
const manager = new ConnectionManager();
const router = new WebSocketRouter(manager, {
  authenticate: (request) => ({
    id: request.url?.slice("/?user=".length) ?? "",
    scopes: [],
    claims: {},
    via: "bench",
  }),
});
let number = 0;
router.protected("/", {
  open(connection) {
    void connection.join("lobby");
    void connection.join(`table ${number++ % 900}`);
  },
  message() {},
});
const server = createServer();
router.attach(server);
await manager.start();
server.listen(0, "127.0.0.1", () => report(server));
