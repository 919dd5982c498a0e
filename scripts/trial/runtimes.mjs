/** @typedef {import("../trial.mjs").Trial} Trial */

/** A server and a client in one: says "ok" when what was sent came back. `listen` makes the server. */
export const ROUND_TRIP = `
export async function roundTrip({ ConnectionManager, WebSocketRouter, WebSocketClient, server, manager, router }) {
  manager ??= new ConnectionManager();
  router ??= new WebSocketRouter(manager);
  router.public("/chat/:room", {
    open: (connection, { params }) => connection.join(params.room),
    message: (_connection, text, { params }) => manager.broadcastToRoom(params.room, text),
  });
  if (server !== undefined) {
    router.attach(server);
    await manager.start();
  }
  return async (port) => {
    const client = new WebSocketClient("ws://127.0.0.1:" + port + "/chat/lobby");
    await client.connect();
    await client.send("hello");
    const answer = await client.recv({ timeoutMs: 10_000 });
    if (answer !== "hello") throw new Error("got " + answer);
    await client.close();
    console.log("ok");
  };
}
`;

const IMPORTED = `
import { once } from "node:events";
import { createServer } from "node:http";
import * as roomcast from "roomcast";
import { WebSocketClient } from "roomcast/client";
import { roundTrip } from "./round-trip.mjs";

const server = createServer();
const check = await roundTrip({ ...roomcast, WebSocketClient, server });
server.listen(0, "127.0.0.1");
await once(server, "listening");
await check(server.address().port);
process.exit(0);
`;

const REQUIRED = `
const { once } = require("node:events");
const { createServer } = require("node:http");
const roomcast = require("roomcast");
const { WebSocketClient } = require("roomcast/client");
const { apiKeyAuthenticator } = require("roomcast/auth");
const { roundTrip } = require("./round-trip.mjs");
apiKeyAuthenticator({ keys: ["0123456789abcdef"] });
const server = createServer();
(async () => {
  const check = await roundTrip({ ...roomcast, WebSocketClient, server });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await check(server.address().port);
  process.exit(0);
})();
`;

const files = { "round-trip.mjs": ROUND_TRIP, "main.mjs": IMPORTED, "main.cjs": REQUIRED };
const platform = `${process.platform}-${process.arch}`;

/** @type {Trial[]} */
const nodes = ["20", "22", "24"].map((version) => ({
  name: `Node.js ${version}, by import and by require`,
  packages: [`node-${platform}@${version}`],
  files,
  commands: [
    [`node_modules/node-${platform}/bin/node`, "main.mjs"],
    [`node_modules/node-${platform}/bin/node`, "main.cjs"],
  ],
}));

/** Those that have packages for this machine. */
/** @type {Trial[]} */
const others =
  platform === "linux-x64"
    ? [
        {
          name: "Bun",
          packages: ["@oven/bun-linux-x64"],
          files,
          commands: [["node_modules/@oven/bun-linux-x64/bin/bun", "main.mjs"]],
        },
        {
          name: "Deno",
          packages: ["@deno/linux-x64-glibc"],
          files,
          commands: [["node_modules/@deno/linux-x64-glibc/deno", "run", "-A", "main.mjs"]],
        },
      ]
    : [];

export const runtimes = [...nodes, ...others];
