import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { report } from "./report.ts";

/** The control: connections that are held and listened to, without a library, users, rooms or pings. */
const server = createServer();
new WebSocketServer({ server }).on("connection", (socket) => socket.on("message", () => {}));
server.listen(0, "127.0.0.1", () => report(server));
