// A chat of two rooms with React:
//
//   node --import tsx examples/react/main.ts
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { z } from "zod";

const ROOMS = ["lobby", "kitchen"] as const;

const bundle = await build({
  input: fileURLToPath(new URL("app.tsx", import.meta.url)),
  platform: "browser",
  write: false,
});
const [{ code: script }] = bundle.output;
const page =
  '<!doctype html><html lang="en"><title>Rooms</title><div id="root"></div><script type="module" src="/app.js"></script></html>';

const manager = new ConnectionManager({ rooms: { "*": { history: { maxLength: 1000 } } } });
const router = new WebSocketRouter(manager, {
  authenticate: (request) => {
    const name = new URLSearchParams(request.url?.split("?")[1]).get("name") ?? "somebody";
    return { id: name, scopes: [], claims: {}, via: "name" };
  },
});

const room = z.enum(ROOMS);
const schema = z.object({ type: z.literal("say"), room, text: z.string().max(1000) });
router.protected(
  "/chat",
  { schema, authorize: (_connection, name) => room.safeParse(name).success },
  {
    message: async (connection, { room, text }) => {
      await manager.broadcastToRoom(room, { from: connection.userId, text });
    },
  },
);

const server = createServer((request, response) => {
  const isScript = request.url === "/app.js";
  response.setHeader("Content-Type", `text/${isScript ? "javascript" : "html"}; charset=utf-8`);
  response.end(isScript ? script : page);
});
router.attach(server);
await manager.start();
server.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : address;
  console.log(`Open http://127.0.0.1:${port}/?name=alice`);
});
// For those who want to see what it does: how many connections there are, and a way to lose them.
process.on("message", (what) => {
  if (what === "count") process.send?.({ connections: manager.connectionCount });
  else for (const connection of manager.connections()) connection.close(4000, "lost");
});
