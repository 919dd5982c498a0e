// A process with one manager on Redis, for tests that kill and freeze real processes. Clients connect at
// `/?user=alice` and send `join ROOM` or `leave ROOM`. What happens is printed, a line for each event.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";

const [url = "", instanceId = "", leaseMs = ""] = process.argv.slice(2);
const manager = new ConnectionManager({
  backplane: redisBackplane({
    ...(url.includes(",") ? { cluster: url.split(",") } : { url }),
    leaseMs: Number(leaseMs),
  }),
  instanceId,
  offlineGraceMs: 0,
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

for (const event of ["online", "offline"] as const) {
  manager.on(event, ({ user }) => say(`${event} ${user}`));
}
for (const event of ["join", "leave"] as const) {
  manager.on(event, ({ user, room }) => say(`${event} ${user} ${room}`));
}
manager.on("status", ({ status }) => say(`status ${status}`));
manager.on("error", (error, { stage }) => say(`error ${stage} ${error}`));

const router = new WebSocketRouter(manager, {
  authenticate: (request) => {
    const id = new URL(request.url ?? "", "http://localhost").searchParams.get("user");
    return id === null ? null : { id, scopes: [], claims: {}, via: "test" };
  },
});
router.protected("/", {
  async message(connection, message) {
    const [verb, room = ""] = String(message).split(" ");
    if (verb === "join") await connection.join(room);
    else if (verb === "leave") await connection.leave(room);
    else if (verb === "say") await manager.broadcastToRoom(room, "said");
    await connection.send(`done ${message}`);
  },
});
const server = createServer();
router.attach(server);
await manager.start();
server.listen(0, "127.0.0.1", () => {
  say(`listening on ${(server.address() as AddressInfo).port}`);
});
