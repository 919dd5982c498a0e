import { createServer } from "node:http";
import next from "next";
import { ConnectionManager, WebSocketRouter } from "roomcast";

const dev = process.env.NODE_ENV !== "production";
const port = Number(process.env.PORT ?? 3000);
const server = createServer();
const app = next({ dev, port, httpServer: server });
const handle = app.getRequestHandler();
await app.prepare();
server.on("request", (request, response) => handle(request, response));

const manager = new ConnectionManager();
const router = new WebSocketRouter(manager, { prefix: "/realtime" });
router.public("/chat/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (_connection, text, { params }) => manager.broadcastToRoom(params.room, text),
});
router.attach(server);
await manager.start();
server.listen(port, () => console.log(`http://localhost:${port}`));
