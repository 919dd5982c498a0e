import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";

const manager = new ConnectionManager();
const router = new WebSocketRouter(manager);
router.public("/chat/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (_connection, text, { params }) => manager.broadcastToRoom(params.room, text),
});

const page = readFileSync("page.html");
const server = createServer((_request, response) => response.end(page));
router.attach(server);
await manager.start();
server.listen(8000, () => console.log("Open http://localhost:8000 in two windows"));
