import { readFileSync } from "node:fs";
import { ROUND_TRIP } from "./runtimes.mjs";

/** @typedef {import("../trial.mjs").Trial} Trial */

const read = (/** @type {string} */ path) =>
  readFileSync(new URL(`../../examples/${path}`, import.meta.url), "utf8");

const HEAD = `
import { once } from "node:events";
import { createServer } from "node:http";
import * as roomcast from "roomcast";
import { WebSocketClient } from "roomcast/client";
import { roundTrip } from "./round-trip.mjs";
`;

const EXPRESS = `${HEAD}
import express from "express";
const app = express().get("/", (_request, response) => response.send("page"));
const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const check = await roundTrip({ ...roomcast, WebSocketClient, server });
const { port } = server.address();
if ((await (await fetch("http://127.0.0.1:" + port)).text()) !== "page") throw new Error("no page");
await check(port);
process.exit(0);
`;

const FASTIFY = `${HEAD}
import fastify from "fastify";
import { roomcast as register } from "roomcast/fastify";
const app = fastify();
await app.register(register);
app.get("/", () => "page");
const check = await roundTrip({ ...roomcast, WebSocketClient, ...app.roomcast });
const url = await app.listen({ port: 0, host: "127.0.0.1" });
if ((await (await fetch(url)).text()) !== "page") throw new Error("no page");
await check(new URL(url).port);
await app.close();
`;

const HONO = `${HEAD}
import { serve } from "@hono/node-server";
import { Hono } from "hono";
const app = new Hono().get("/", (context) => context.text("page"));
const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
await once(server, "listening");
const check = await roundTrip({ ...roomcast, WebSocketClient, server });
const { port } = server.address();
if ((await (await fetch("http://127.0.0.1:" + port)).text()) !== "page") throw new Error("no page");
await check(port);
process.exit(0);
`;

/** @type {(name: string, packages: string[], main: string) => Trial} */
const server = (name, packages, main) => ({
  name,
  packages,
  files: { "round-trip.mjs": ROUND_TRIP, "main.mjs": main },
  commands: [[process.execPath, "main.mjs"]],
});

/** @type {Trial[]} */
export const frameworks = [
  {
    name: "README",
    packages: [],
    files: {
      "server.mjs": read("quick-start/server.mjs").replace("8000", "0"),
      "page.html": read("quick-start/page.html"),
      "check.mjs": `
        setTimeout(() => process.exit(0), 500);
        await import("./server.mjs");`,
    },
    commands: [[process.execPath, "check.mjs"]],
  },
  server("Express", ["express@5"], EXPRESS),
  server("Fastify", ["fastify@5"], FASTIFY),
  server("Hono", ["hono@4", "@hono/node-server@2"], HONO),
  {
    name: "Vite with React",
    packages: ["vite@8", "react@19", "react-dom@19"],
    files: {
      "index.html": '<div id="root"></div><script type="module" src="/main.jsx"></script>',
      "main.jsx": `
        import { createRoot } from "react-dom/client";
        import { createElement } from "react";
        import { useRoom, useRoomcast } from "roomcast/react";
        function App() {
          const { client, state } = useRoomcast("ws://localhost:8000/ws", { subprotocols: ["roomcast.v1"] });
          useRoom(client, "lobby");
          return createElement("p", null, state);
        }
        createRoot(document.getElementById("root")).render(createElement(App));`,
      "check.mjs": `
        import { readFileSync, readdirSync } from "node:fs";
        const [file] = readdirSync("dist/assets").filter((name) => name.endsWith(".js"));
        const code = readFileSync("dist/assets/" + file, "utf8");
        if (!code.includes("roomcast.v1") || code.includes("node:http")) throw new Error("not the build for pages");`,
    },
    commands: [
      ["vite", "build"],
      [process.execPath, "check.mjs"],
    ],
  },
];
