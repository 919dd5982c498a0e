import { readFileSync } from "node:fs";

/** @typedef {import("../trial.mjs").Trial} Trial */

const read = (/** @type {string} */ path) =>
  readFileSync(new URL(`../../examples/${path}`, import.meta.url), "utf8");

const NEST_TEST = `
import { Module } from "@nestjs/common";
import { Test } from "@nestjs/testing";
import { MessageBody, SubscribeMessage, WebSocketGateway } from "@nestjs/websockets";
import { WebSocketClient } from "roomcast/client";
import { Realtime } from "./realtime.js";
import { RoomcastAdapter } from "./roomcast-adapter.js";

@WebSocketGateway({ path: "/gateway" })
class Prices {
  @SubscribeMessage("price")
  price(@MessageBody() item: string): object {
    return { event: "price", data: item + ": 5" };
  }
}

@Module({ providers: [Realtime, Prices] })
class App {}

test("a route and a gateway are served on the application's port, and end with it", async () => {
  const app = (await Test.createTestingModule({ imports: [App] }).compile()).createNestApplication();
  const { manager } = app.get(Realtime);
  app.useWebSocketAdapter(new RoomcastAdapter(app, manager));
  await app.listen(0, "127.0.0.1");
  const url = (await app.getUrl()).replace("http", "ws");
  const chat = new WebSocketClient(url + "/chat/lobby", { config: { reconnectEnabled: false } });
  await chat.connect();
  await chat.send("hello");
  expect(await chat.recv({ timeoutMs: 5000 })).toBe("hello");
  const gateway = new WebSocketClient(url + "/gateway");
  await gateway.connect();
  await gateway.sendJson({ event: "price", data: "apple" });
  expect(await gateway.recvJson({ timeoutMs: 5000 })).toEqual({ event: "price", data: "apple: 5" });
  await gateway.close();
  await app.close();
  expect(manager.status).toBe("draining");
  await expect(chat.recv({ timeoutMs: 5000 })).rejects.toMatchObject({ closeCode: 1012 });
});
`;

const NEST_CONFIG = {
  strict: true,
  target: "es2022",
  module: "nodenext",
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  outDir: "build",
  rootDir: "src",
  types: ["node", "jest"],
  skipLibCheck: true,
};

/** Starts a program, waits for what it serves, and talks through it. */
const CHECK = `
import { spawn } from "node:child_process";
import { WebSocketClient } from "roomcast/client";

export async function check({ commands, url, page, headers }) {
  const children = commands.map(([file, ...args]) => spawn(file, args, { stdio: "inherit" }));
  setTimeout(() => finish(1), 60_000);
  const finish = (code) => {
    for (const child of children) child.kill("SIGKILL");
    process.exit(code);
  };
  for (;;) {
    try {
      const response = await fetch(page);
      if (!response.ok) throw new Error("no page yet");
      const client = new WebSocketClient(url, { headers });
      await client.connect();
      await client.send("hello");
      const answer = await client.recv({ timeoutMs: 5000 });
      await client.close();
      finish(answer === "hello" ? 0 : 1);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
`;

/** @type {Trial[]} */
export const applications = [
  {
    name: "NestJS with Jest",
    packages: [
      ...["core", "common", "platform-express", "websockets", "testing"].map(
        (part) => `@nestjs/${part}@12`,
      ),
      ...["reflect-metadata@0", "rxjs@7", "typescript@5.9", "@types/node@20", "jest@30"],
      "@types/jest@30",
    ],
    files: {
      "tsconfig.json": JSON.stringify({ compilerOptions: NEST_CONFIG, include: ["src"] }),
      "src/realtime.ts": read("nestjs/realtime.ts"),
      "src/roomcast-adapter.ts": read("nestjs/roomcast-adapter.ts"),
      "src/app.test.ts": NEST_TEST,
    },
    commands: [
      ["tsc"],
      // Jest's own way with packages that are ECMAScript modules.
      [
        process.execPath,
        "--experimental-vm-modules",
        "node_modules/jest/bin/jest.js",
        "build",
        "--forceExit",
      ],
    ],
  },
  {
    name: "Next with a server of its own",
    packages: ["next@16", "react@19", "react-dom@19"],
    files: {
      "server.mjs": read("next/server.mjs"),
      "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;",
      "app/page.js": "export default () => <p>page</p>;",
      "check-with.mjs": CHECK,
      "check.mjs": `
        import { check } from "./check-with.mjs";
        process.env.PORT = "38127";
        await check({
          commands: [[process.execPath, "server.mjs"]],
          page: "http://127.0.0.1:38127/",
          url: "ws://127.0.0.1:38127/realtime/chat/lobby",
        });`,
    },
    commands: [[process.execPath, "check.mjs"]],
  },
  {
    name: "Vite's proxy",
    packages: ["vite@8"],
    files: {
      "server.mjs": read("quick-start/server.mjs").replaceAll("8000", "38128"),
      "page.html": read("quick-start/page.html"),
      "index.html": "<p>page</p>",
      "vite.config.js": read("vite/vite.config.js").replaceAll("8000", "38128"),
      "check-with.mjs": CHECK,
      "check.mjs": `
        import { check } from "./check-with.mjs";
        await check({
          commands: [[process.execPath, "server.mjs"], ["vite", "--port", "38129", "--host", "127.0.0.1"]],
          page: "http://127.0.0.1:38129/",
          url: "ws://127.0.0.1:38129/chat/lobby",
          headers: { Origin: "http://127.0.0.1:38129" },
        });`,
    },
    commands: [[process.execPath, "check.mjs"]],
  },
];
