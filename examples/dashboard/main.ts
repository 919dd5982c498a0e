// Figures that a server sends to every open page, every 5 seconds: one room, `dashboard_update`, and what was last for whoever
// opens the page in between.
//
//   npm run example dashboard
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { servePage } from "../serve-page.ts";

const EVERY_MS = Number(process.env.EVERY_MS ?? 5000);
const ROOM = "dashboard";

const manager = new ConnectionManager();
const router = new WebSocketRouter(manager);
router.public("/dashboard", {
  async open(connection) {
    await connection.join(ROOM);
    void connection.send(measure());
  },
});

/** In earnest: orders, visitors, what the business lives on. */
function measure() {
  return {
    type: "dashboard_update",
    data: {
      connections: manager.connectionCount,
      memory_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
      uptime_s: Math.round(process.uptime()),
    },
    timestamp: new Date().toISOString(),
  };
}

setInterval(() => void manager.broadcastToRoom(ROOM, measure()), EVERY_MS).unref();

await servePage(manager, router, import.meta.url);
