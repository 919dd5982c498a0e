import { createServer } from "node:http";
import { createClient } from "@redis/client";
import { createAdapter } from "@socket.io/redis-adapter";
import { Server } from "socket.io";
import { report } from "./report.ts";

/** The same as `rooms.ts`, as Socket.IO's documentation has it: its Redis adapter, and WebSocket alone. */
const publisher = createClient({
  url: process.env.BENCH_REDIS ?? "",
  // Under load what is published waits for longer than the client would.
  commandOptions: { timeout: 60_000 },
});
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const server = createServer();
const io = new Server(server, {
  adapter: createAdapter(publisher, subscriber),
  transports: ["websocket"],
  perMessageDeflate: false,
  pingInterval: 600_000,
});
io.on("connection", (socket) => {
  const room = String(socket.handshake.query.room);
  void socket.join(room);
  socket.on("m", (text: string) => {
    io.to(room).emit("m", text);
  });
});
server.listen(0, "127.0.0.1", () => report(server));
