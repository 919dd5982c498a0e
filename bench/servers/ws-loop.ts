import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { report } from "./report.ts";

/** The control: what people write without a library. */
const server = createServer();
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.on("message", (message, binary) => {
    for (const client of sockets.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(message, { binary });
    }
  });
});
server.listen(0, "127.0.0.1", () => report(server));
