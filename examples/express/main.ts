/**
 * Express 5: the router is attached to the HTTP server below it. Run it with
 * `PORT=3000 npx tsx examples/express/main.ts`, then connect to ws://localhost:3000/rooms/lobby, and
 * `curl -X POST localhost:3000/rooms/lobby -H 'Content-Type: application/json' -d '{"text":"hello"}'`.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { ConnectionManager, WebSocketRouter } from "roomcast";

const manager = new ConnectionManager({ limits: { messagesPerSecond: 50 } });
const router = new WebSocketRouter(manager);

router.public("/rooms/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (connection, message, { params }) =>
    manager.broadcastToRoom(params.room, message, { except: connection }),
});

const app = express();
app.use(express.json());
app.get("/rooms/:room", (request, response) => {
  const { room } = request.params;
  response.json({ room, connections: manager.count({ room }) });
});
app.post("/rooms/:room", async (request, response) => {
  const notice = { type: "notice", text: request.body.text };
  response.json(await manager.broadcastToRoom(request.params.room, notice));
});

const server = createServer(app);
router.attach(server);
await manager.start();
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", async () => {
  await manager.stop({ message: { type: "system", message: "The server is restarting." } });
  server.close();
});
