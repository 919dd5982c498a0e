/** @typedef {import("../trial.mjs").Trial} Trial */

/** What a server and a client in Node.js use, checked to the last library. */
const SERVER = `
import { createServer } from "node:http";
import { apiKeyAuthenticator, jwtAuthenticator } from "roomcast/auth";
import { WebSocketClient } from "roomcast/client";
import { redisBackplane } from "roomcast/redis";
import { backplaneContract } from "roomcast/testing";
import { type Connection, ConnectionManager, loadConfig, MessageRefusedError, WebSocketRouter } from "roomcast";

const manager = new ConnectionManager({ config: loadConfig(), backplane: redisBackplane() });
const router = new WebSocketRouter<{ device: string }>(manager, {
  authenticate: [jwtAuthenticator({ secret: "x".repeat(32) }), apiKeyAuthenticator({ keys: ["x".repeat(16)] })],
});
router.public("/chat/:room", {
  open: (connection, { params }) => connection.join(params.room),
  message: (connection, message, { params }) =>
    manager.broadcastToRoom(params.room, message, { except: connection }),
});
router.protected("/me", (connection) => {
  const user: string = connection.userId;
  connection.metadata.device = user;
  // @ts-expect-error There is no such room.
  connection.join(1);
  if (user === "") throw new MessageRefusedError("no", "No.");
});
router.attach(createServer());
export const first: Connection<unknown> | undefined = manager.connections()[0];
export const contract = backplaneContract;
export const client = new WebSocketClient("ws://localhost", { subprotocols: ["roomcast.v1"] });
export const price: Promise<number> = client.request<number>("price");
`;

/** As Vite sets a page up: no types of Node.js. */
const PAGE = `
import { WebSocketClient } from "roomcast/client";
import { useRoom, useRoomcast } from "roomcast/react";

export function Chat() {
  const { client, state } = useRoomcast("ws://localhost", { subprotocols: ["roomcast.v1"] });
  const messages = useRoom(client, "lobby");
  return { state, messages };
}
export const other = new WebSocketClient("ws://localhost");
`;

/** @param {object} compilerOptions @param {string} file */
const config = (compilerOptions, file) =>
  JSON.stringify({
    compilerOptions: {
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      target: "es2022",
      ...compilerOptions,
    },
    files: [file],
  });

const SERVER_OPTIONS = { lib: ["es2023", "esnext.disposable"], types: ["node"] };
const VITE_OPTIONS = {
  lib: ["ES2023", "DOM", "DOM.Iterable"],
  module: "esnext",
  moduleResolution: "bundler",
  types: [],
  jsx: "react-jsx",
};

/** @type {Trial[]} */
export const types = ["5.4", "5.9", "6", "7"].map((version) => ({
  name: `TypeScript ${version}, strict, with nodenext, a bundler and Vite's libraries`,
  packages: [
    `typescript@${version}`,
    "@types/node@20",
    "@types/react@19",
    "react@19",
    "@redis/client@6",
    "jose@6",
  ],
  files: {
    "server.ts": SERVER,
    "page.tsx": PAGE,
    "nodenext.json": config({ ...SERVER_OPTIONS, module: "nodenext" }, "server.ts"),
    "bundler.json": config(
      { ...SERVER_OPTIONS, module: "esnext", moduleResolution: "bundler" },
      "server.ts",
    ),
    "vite.json": config(VITE_OPTIONS, "page.tsx"),
  },
  commands: [
    ["tsc", "-p", "nodenext.json"],
    ["tsc", "-p", "bundler.json"],
    ["tsc", "-p", "vite.json"],
  ],
}));
