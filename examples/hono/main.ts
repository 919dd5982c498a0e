/**
 * Hono on its Node server: the router is attached to what `serve` returns. Run it with
 * `PORT=3000 npx tsx examples/hono/main.ts`, then connect to ws://localhost:3000/rooms/lobby, and
 * `curl -X POST localhost:3000/rooms/lobby -H 'Content-Type: application/json' -d '{"text":"hello"}'`.
 */
import { createServer } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { ConnectionManager, type UpgradeServer, WebSocketRouter } from "roomcast";

const manager = new ConnectionManager({ limits: { messagesPerSecond: 50 } });
const router = new WebSocketRouter(manager);

router.public("/rooms/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (connection, message, { params }) =>
    manager.broadcastToRoom(params.room, message, { except: connection }),
});

const app = new Hono();
app.get("/rooms/:room", (context) => {
  const room = context.req.param("room");
  return context.json({ room, connections: manager.count({ room }) });
});
app.post("/rooms/:room", async (context) => {
  const { text } = await context.req.json();
  const delivery = manager.broadcastToRoom(context.req.param("room"), { type: "notice", text });
  return context.json(await delivery);
});

const server = createAdaptorServer({ fetch: app.fetch, createServer }) as UpgradeServer;
router.attach(server);
await manager.start();
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : address;
  console.log(`Listening on http://127.0.0.1:${port}`);
});
process.once("SIGTERM", async () => {
  await manager.stop({ message: { type: "system", message: "The server is restarting." } });
  server.close();
});
