import { createServer } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { report } from "./report.ts";

/** The control for heartbeats: bare ws with the loop that its README shows, at the interval of Roomcast. */
const INTERVAL_MS = 20_000;

const server = createServer();
const sockets = new WebSocketServer({ server });
const answered = new WeakSet<WebSocket>();
sockets.on("connection", (socket) => {
  answered.add(socket);
  socket.on("message", () => {});
  socket.on("pong", () => answered.add(socket));
});
setInterval(() => {
  for (const socket of sockets.clients) {
    if (!answered.delete(socket)) socket.terminate();
    else socket.ping();
  }
}, INTERVAL_MS);
server.listen(0, "127.0.0.1", () => report(server));
