// Moves in a game: a token says who plays, a schema what they may send, and a handler is two lines.
import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { jwtAuthenticator } from "roomcast/auth";
import { z } from "zod";

const { JWT_SECRET = "", PORT = "8000" } = process.env;

const manager = new ConnectionManager({ limits: { messagesPerSecond: 50 } });
const router = new WebSocketRouter(manager, {
  prefix: "/ws",
  authenticate: jwtAuthenticator({ secret: JWT_SECRET }),
  allowedOrigins: ["https://app.example.org"],
});

const move = z.object({ x: z.number(), y: z.number() });

router.protected(
  "/games/:game",
  { schema: move },
  {
    open: (connection, { params }) => connection.join(params.game),
    message: (connection, { x, y }, { params }) =>
      manager.broadcastToRoom(params.game, { by: connection.userId, x, y }),
  },
);

const server = createServer();
router.attach(server);
await manager.start();
server.listen(Number(PORT), "127.0.0.1", () => console.log("Listening on", server.address()));
