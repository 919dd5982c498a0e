import { once } from "node:events";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeHttpHandler } from "../../src/cli/http.ts";
import { OperatorGuard } from "../../src/cli/operator-guard.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";
import { Client } from "../support/client.ts";
import { handshake, RawClient } from "../support/raw-handshake.ts";

/** What is thrown in each seam; what is no error, and cannot be made text, is the worst of it. */
const THROWN: Readonly<Record<string, unknown>> = {
  "an error": new Error("on purpose"),
  "an object that cannot be made text": { toString: 1, valueOf: 1 },
  undefined,
};

let manager: ConnectionManager;
let port: number;
let failed: string[];
let thrown: unknown;
/** Which callback throws. */
let where: string;
const ends: (() => Promise<void>)[] = [];
const escaped: unknown[] = [];
const onEscape = (error: unknown): void => void escaped.push(error);

function perhaps(name: string): void {
  if (where === name) throw thrown;
}

beforeEach(async () => {
  failed = [];
  where = "";
  escaped.length = 0;
  process.on("uncaughtException", onEscape).on("unhandledRejection", onEscape);
  manager = new ConnectionManager({
    rooms: { "*": { history: {}, announce: true } },
    config: { pingIntervalMs: 100 },
  });
  manager.on("error", (_error, { stage }) => {
    failed.push(stage);
    perhaps("on error");
  });
  for (const event of [
    "connect",
    "disconnect",
    "join",
    "leave",
    "online",
    "offline",
    "status",
  ] as const) {
    manager.on(event, () => perhaps(`on ${event}`));
  }
  const router = new WebSocketRouter(manager, {
    authenticate: [
      (request) => {
        perhaps("authenticate");
        return request.url?.includes("late")
          ? Promise.resolve(null).then(() => perhaps("authenticate later") ?? null)
          : null;
      },
      (request) => {
        const id = new URLSearchParams(request.url?.split("?")[1]).get("user") ?? "";
        return { id, scopes: [], claims: {}, via: "test" };
      },
    ],
  });
  const schema = {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) => {
        perhaps("schema");
        return { value };
      },
    },
  };
  const authorize = (): boolean => {
    perhaps("authorize");
    return true;
  };
  router.protected(
    "/ws",
    { authorize, schema },
    {
      open(connection) {
        perhaps("open");
        connection.on("close", () => perhaps("connection on close"));
        void connection.join("lobby");
      },
      message(connection, message) {
        perhaps("message");
        void connection.send(message);
      },
      close: () => perhaps("close"),
    },
  );
  const options = { apiKey: null, jwt: null, origins: undefined, trustProxy: [] };
  const handler = makeHttpHandler(manager, {
    guard: new OperatorGuard(options),
    authenticate: null,
    maxMemoryBytes: null,
    isForUs: () => {
      perhaps("http");
      return true;
    },
  });
  const server = createServer(handler);
  router.attach(server);
  await manager.start();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
  ends.push(async () => {
    await manager.stop();
    server.closeAllConnections();
    server.close();
  });
});

afterEach(async () => {
  where = "";
  for (const end of ends.splice(0)) await end();
  process.off("uncaughtException", onEscape).off("unhandledRejection", onEscape);
});

const SEAMS = [
  "authenticate",
  "authenticate later",
  "authorize",
  "schema",
  "open",
  "message",
  "close",
  "connection on close",
  "http",
  "on connect",
  "on disconnect",
  "on join",
  "on leave",
  "on online",
  "on offline",
];

test.each(SEAMS.flatMap((seam) => Object.keys(THROWN).map((what) => [what, seam] as const)))(
  "%s thrown in %s becomes an error event, and everybody else goes on",
  async (what, seam) => {
    thrown = THROWN[what];
    const url = (user: string) => `ws://127.0.0.1:${port}/ws?late&user=${user}`;
    const bystander = await Client.connect(url("bob"));
    failed.length = 0;
    where = seam;
    const client = await Client.connect(url("alice")).catch(() => null);
    client?.send({ hello: 1 });
    if (client !== null && client.socket.readyState === client.socket.OPEN) {
      client.socket.ping();
      await Promise.race([once(client.socket, "pong"), client.closed()]);
    }
    await new Promise((resolve) =>
      get(`http://127.0.0.1:${port}/health`, resolve).on("error", resolve),
    );
    await client?.close();
    await expect.poll(() => failed).not.toEqual([]);
    where = "";
    for (const one of [bystander, await Client.connect(url("carl"))]) {
      one.send({ alive: true });
      while (!String(await one.next()).includes("alive"));
    }
    expect(escaped).toEqual([]);
  },
);

test("a listener of errors that throws ends nothing either", async () => {
  thrown = new Error("on purpose");
  where = "on error";
  manager.reportError(new Error("something"), "test");
  await new Promise((resolve) => setImmediate(resolve));
  expect(escaped).toEqual([]);
});

test("sockets that are reset while they are looked at end nothing", async () => {
  for (const bytes of [
    handshake("/ws?user=alice"),
    handshake("/nowhere"),
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  ]) {
    for (let i = 0; i < 20; i++) {
      const client = await RawClient.connect(port);
      client.write(bytes);
      if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      client.reset();
    }
  }
  const client = await Client.connect(`ws://127.0.0.1:${port}/ws?user=bob`);
  client.send({ alive: true });
  while (!String(await client.next()).includes("alive"));
  expect(escaped).toEqual([]);
});
