/**
 * Fastify 5: one line adds WebSockets. Run it with `PORT=3000 npx tsx examples/fastify/main.ts`, then
 * connect to ws://localhost:3000/rooms/lobby, and
 * `curl -X POST localhost:3000/rooms/lobby -H 'Content-Type: application/json' -d '{"text":"hello"}'`.
 */
import Fastify from "fastify";
import { roomcast } from "roomcast/fastify";

const app = Fastify();
await app.register(roomcast, {
  limits: { messagesPerSecond: 50 },
  stop: { message: { type: "system", message: "The server is restarting." } },
});
const { manager, router } = app.roomcast;

router.public("/rooms/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (connection, message, { params }) =>
    manager.broadcastToRoom(params.room, message, { except: connection }),
});

app.get<{ Params: { room: string } }>("/rooms/:room", (request) => ({
  room: request.params.room,
  connections: manager.count({ room: request.params.room }),
}));

app.post<{ Params: { room: string }; Body: { text: string } }>("/rooms/:room", (request) =>
  manager.broadcastToRoom(request.params.room, { type: "notice", text: request.body.text }),
);

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
console.log(`Listening on ${url}`);
process.once("SIGTERM", () => void app.close());
