import { createServer } from "node:http";
import { ConnectionManager, WebSocketRouter } from "roomcast";

const manager = new ConnectionManager();
const router = new WebSocketRouter(manager);

router.public("/chat/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (connection, message, { params }) =>
    manager.broadcastToRoom(params.room, message, { except: connection }),
});

const server = createServer();
router.attach(server);
await manager.start();
server.listen(8000);
