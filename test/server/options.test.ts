import { expect, test } from "vitest";
import { apiKeyAuthenticator, extractToken, jwtAuthenticator } from "../../src/auth.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { loadConfig } from "../../src/protocol/config.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";

const onDispose = useDisposals();

/** As somebody writes who is not checked by types. */
function untyped(options: Record<string, unknown>): never {
  return options as never;
}

test.each([
  ["backplan", () => new ConnectionManager(untyped({ backplan: memoryBackplane() }))],
  ["graceMs", () => new ConnectionManager(untyped({ graceMs: 1 }))],
  ["maxConections", () => new ConnectionManager({ limits: untyped({ maxConections: 1 }) })],
  ["origins", () => new WebSocketRouter(new ConnectionManager(), untyped({ origins: [] }))],
  [
    "schemas",
    () =>
      new WebSocketRouter(new ConnectionManager()).public("/a", untyped({ schemas: 1 }), {
        message: () => {},
      }),
  ],
  [
    "maxLenght",
    () => new ConnectionManager({ rooms: { a: { history: untyped({ maxLenght: 1 }) } } }),
  ],
  ["histroy", () => new ConnectionManager({ rooms: { a: untyped({ histroy: {} }) } })],
  ["announce", () => new ConnectionManager({ broadcast: untyped({ announce: true }) })],
  ["pingInterval", () => new ConnectionManager({ config: untyped({ pingInterval: 1 }) })],
  ["ttl", () => memoryBackplane(untyped({ ttl: 1 }))],
  ["uri", () => redisBackplane(untyped({ uri: "redis://127.0.0.1" }))],
  ["jwtSecret", () => jwtAuthenticator(untyped({ jwtSecret: "x" }))],
  ["cache", () => jwtAuthenticator({ jwksUrl: "https://a.example", jwks: untyped({ cache: 1 }) })],
  ["key", () => apiKeyAuthenticator(untyped({ key: "x" }))],
  ["headers", () => extractToken(untyped({ headers: {} }), untyped({ headers: false }))],
])("an option %s that does not exist is named, with those there are", (name, make) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(new RegExp(`no option ${name}`));
});

test("options of sends, closes and reads that do not exist are named by what rejects", async () => {
  const manager = new ConnectionManager();
  manager.on("error", () => {});
  const wrong = untyped({ expect: "x" });
  for (const work of [
    () => manager.broadcast("x", wrong),
    () => manager.broadcastToRoom("a", "x", wrong),
    () => manager.sendToUser("a", "x", wrong),
    () => manager.disconnect("a", wrong),
    () => manager.disconnectUser("a", wrong),
    () => manager.history.read("a", wrong),
    () => manager.topic("a").publish("x", wrong),
  ]) {
    await expect(work()).rejects.toThrow("no option expect");
  }
});

test("patterns of rooms that can never hold are refused", () => {
  const make = (rooms: Record<string, object>) => () => new ConnectionManager({ rooms });
  expect(make({ "*": {}, "chat:*": {} })).toThrow('"*" before it fits all its rooms');
  expect(make({ "chat:*": {}, "chat:a*b": {} })).toThrow("never used");
  expect(make({ "": {} })).toThrow("fits no room");
  expect(make({ "{all}": {} })).toThrow("fits no room");
  expect(make({ "chat:*:a": {}, "chat:*": {}, "*": {} })).not.toThrow();
  expect(make([] as never)).toThrow("rooms must be an object");
});

test("options of connect and stop that do not exist are named too", async () => {
  const manager = new ConnectionManager();
  manager.on("error", () => {});
  const { socket, dispose } = await foreignSocket();
  onDispose(dispose);
  expect(() => manager.connect(socket, untyped({ user: "alice" }))).toThrow("no option user");
  await expect(manager.stop(untyped({ drain: 1 }))).rejects.toThrow("no option drain");
});

test("a router says that it needs a manager, and options that are none are refused", () => {
  expect(() => new WebSocketRouter(untyped({}))).toThrow("needs a ConnectionManager");
  expect(() => new ConnectionManager(null as never)).toThrow("must be an object");
});

test("settings of Redis that a manager without a backplane cannot use are not ignored in silence", () => {
  const said: string[] = [];
  const logger = {
    debug: () => {},
    info: () => {},
    warn: (_fields: object, message: string) => void said.push(message),
    error: () => {},
  };
  const config = loadConfig({ REDIS_URL: "redis://127.0.0.1:1", WS_PRESENCE_TTL: "30" });
  new ConnectionManager({ config, logger });
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/REDIS_URL.*WS_PRESENCE_TTL.*redisBackplane/);
  new ConnectionManager({ config, logger, backplane: memoryBackplane() });
  new ConnectionManager({ config: loadConfig({}), logger });
  expect(said).toHaveLength(1);
});

test("an offlineGraceMs without end keeps users online and the process idle", async () => {
  const manager = new ConnectionManager({ offlineGraceMs: Number.POSITIVE_INFINITY });
  onDispose(() => manager.stop());
  await manager.start();
  const { socket, client, dispose } = await foreignSocket();
  onDispose(dispose);
  const connection = manager.connect(socket, { userId: "alice" });
  client.socket.terminate();
  await expect.poll(() => connection.state).toBe("closed");
  const { user } = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await manager.presence.isOnline("alice")).toBe(true);
  // A timer that comes at once, again and again, would take all of it.
  expect(process.cpuUsage().user - user).toBeLessThan(200_000);
});

test("a drain without end waits for whoever does not answer, instead of cutting them off at once", async () => {
  const manager = new ConnectionManager();
  await manager.start();
  const { socket, client, dispose } = await foreignSocket();
  onDispose(dispose);
  manager.connect(socket);
  client.socket.pause();
  let isStopped = false;
  const stopped = manager.stop({ drainMs: 2 ** 32 }).then(() => {
    isStopped = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(isStopped).toBe(false);
  client.socket.resume();
  await stopped;
  expect((await client.closed()).code).toBe(1012);
});
