import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { type ReconnectingEvent, WebSocketClient } from "../../src/client.ts";
import { http, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import {
  type ManagerServer,
  type ManagerServerOptions,
  startManager,
} from "../support/manager-server.ts";

const onDispose = useDisposals();
const QUICK = { reconnectBackoffBaseMs: 10, reconnectBackoffMaxMs: 50, reconnectMaxAttempts: 0 };

async function start(options: ManagerServerOptions = {}): Promise<ManagerServer> {
  const server = await startManager(options);
  onDispose(server.dispose);
  return server;
}

test("a server that is not read is held up, and nothing is lost or out of order", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onDispose(() => server.close());
  const accepted = once(server, "connection");
  await once(server, "listening");
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new WebSocketClient(url, { config: { maxQueueSize: 4 } });
  onDispose(() => client.close());
  await client.connect();
  const [socket] = (await accepted) as [WebSocket];
  const count = 500;
  const filler = "x".repeat(100_000);
  for (let i = 0; i < count; i++) socket.send(`${i} ${filler}`);
  // 50 MB: what the system does not hold stays with the server, as long as nobody reads.
  await expect.poll(() => client.state).toBe("open");
  expect(await client.recv()).toBe(`0 ${filler}`);
  const held = socket.bufferedAmount;
  expect(held).toBeGreaterThan(10_000_000);
  for (let i = 1; i < count; i++)
    expect((await client.recv()).slice(0, 9)).toBe(`${i} ${filler}`.slice(0, 9));
  expect(socket.bufferedAmount).toBe(0);
});

test("a client that is told goodbye comes back when the server said, not before", async () => {
  const server = await start();
  const client = new WebSocketClient(`${server.url}/?user=ann`, {
    config: QUICK,
    subprotocols: ["roomcast.v1"],
  });
  onDispose(() => client.close());
  const frames: unknown[] = [];
  await client.connect();
  client.on("message", (message) => frames.push(message));
  const reconnecting = new Promise<ReconnectingEvent>((resolve) => {
    client.on("reconnecting", resolve);
  });
  await server.manager.stop({ drainMs: 100_000, message: { type: "system" } });
  const { code, delayMs, attempt } = await reconnecting;
  expect([code, attempt, frames]).toEqual([1012, 1, ['{"type":"system"}']]);
  // At random within the drain; its own delay would be 10 ms.
  expect(delayMs).toBeGreaterThan(10);
  expect(delayMs).toBeLessThanOrEqual(100_000);
});

test("a token that ends soon is renewed on the connection, which goes on", async () => {
  let tokens = 0;
  const server = await start({
    router: {
      authenticate: (_request, { token }) => {
        if (token === null) return null;
        const lifeMs = token === "t1" ? 1500 : 3_600_000;
        return { id: "ann", scopes: [], claims: {}, via: "test", expiresAt: Date.now() + lifeMs };
      },
    },
  });
  const client = new WebSocketClient(server.url, {
    config: { ...QUICK, reconnectEnabled: false },
    subprotocols: ["roomcast.v1"],
    token: async () => `t${++tokens}`,
  });
  onDispose(() => client.close());
  await client.connect();
  await expect.poll(() => tokens).toBe(2);
  const [connection] = server.manager.connections();
  await expect.poll(() => (connection?.principal?.expiresAt ?? 0) > Date.now() + 60_000).toBe(true);
  expect(client.isConnected).toBe(true);
});

test("however often it is told to connect, there is one attempt at a time", async () => {
  const bad = await startBadServer((socket) => {
    setTimeout(() => socket.end(http("503 Service Unavailable")), 50);
  });
  onDispose(bad.dispose);
  const client = new WebSocketClient(bad.url, { config: QUICK });
  const all = Array.from({ length: 10 }, () => client.connect().catch((error: Error) => error));
  const errors = new Set(await Promise.all(all));
  expect(errors.size).toBe(1);
  expect(bad.requests).toHaveLength(1);

  const server = await start();
  const good = new WebSocketClient(`${server.url}/?user=ann`, {
    config: { ...QUICK, reconnectBackoffBaseMs: 3_600_000, reconnectBackoffMaxMs: 3_600_000 },
  });
  onDispose(() => good.close());
  await Promise.all([good.connect(), good.connect()]);
  const lost = new Promise((resolve) => good.on("reconnecting", resolve));
  for (const connection of server.manager.connections()) connection.close(4000);
  await lost;
  // Instead of an hour later.
  await Promise.all([good.connect(), good.connect(), good.connect()]);
  expect(good.isConnected).toBe(true);
  await expect.poll(() => server.manager.connectionCount).toBe(1);
});

test("an expired session asks for one new token and goes on with it", async () => {
  const server = await start();
  const tokens: string[] = [];
  const client = new WebSocketClient(`${server.url}/?user=ann`, {
    config: QUICK,
    token: () => {
      tokens.push(`t${tokens.length}`);
      return tokens.at(-1) ?? "";
    },
  });
  onDispose(() => client.close());
  await client.connect();
  const reopened = new Promise((resolve) => client.on("open", resolve));
  for (const connection of server.manager.connections()) connection.close(4401, "token expired");
  await reopened;
  expect(tokens).toEqual(["t0", "t1"]);
  const closed = new Promise<{ code: number }>((resolve) => client.on("close", resolve));
  for (const connection of server.manager.connections()) connection.close(4401, "token expired");
  expect((await closed).code).toBe(4401);
});

test("the position is that of the last message worked off, whatever came after it", async () => {
  const server = await start({ rooms: { "*": { history: { maxLength: 100 } } } });
  const { manager } = server;
  const client = new WebSocketClient(`${server.url}/?user=ann`, {
    config: QUICK,
    subprotocols: ["roomcast.v1"],
  });
  onDispose(() => client.close());
  await client.connect();
  await expect.poll(() => manager.connectionCount).toBe(1);
  const [connection] = manager.connections();
  if (connection === undefined) throw new Error("there is no connection");
  await manager.joinRoom(connection, "lobby");
  await manager.broadcastToRoom("lobby", "one");
  let skipped: string | undefined;
  for await (const message of client) {
    if (message === "end") break;
    expect(message).toBe("one");
    // Nothing for this client, but a step in the room; then one that shows that the step has come.
    const delivery = await manager.broadcastToRoom("lobby", "two", { except: connection });
    skipped = delivery.id;
    const arrived = new Promise<void>((resolve) => {
      client.on("message", (text) => {
        if (text === "end") resolve();
      });
    });
    await manager.send(connection.id, "end");
    await arrived;
    expect(client.positions).toEqual({ lobby: "0" });
  }
  expect(skipped).toEqual(expect.any(String));
  expect(client.positions).toEqual({ lobby: skipped });
});

test("what was not read before the end is read after it, when the client connects anew", async () => {
  const server = await start({ rooms: { "*": { history: { maxLength: 100 } } } });
  const { manager } = server;
  manager.on("connect", (connection) => void manager.joinRoom(connection, "lobby"));
  const client = new WebSocketClient(`${server.url}/?user=ann`, {
    config: QUICK,
    subprotocols: ["roomcast.v1"],
  });
  onDispose(() => client.close());
  await client.connect();
  await expect.poll(() => client.positions).toEqual({ lobby: "0" });
  for (const text of ["one", "two", "three"]) await manager.broadcastToRoom("lobby", text);
  expect(await client.recv()).toBe("one");
  await client.close();
  await client.connect();
  await manager.broadcastToRoom("lobby", "end");
  const got: unknown[] = [];
  for await (const message of client) {
    got.push(message);
    if (message === "end") break;
  }
  expect(got).toEqual(["two", "three", "end"]);
});

test("what is no frame, or one of a type nobody knows, does a client no harm", async () => {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: () => "roomcast.v1",
  });
  onDispose(() => server.close());
  const frames = [
    "null",
    "5",
    "[]",
    '"text"',
    "{}",
    '{"type":"constructor"}',
    "{",
    Buffer.from([0]),
  ];
  server.on("connection", (socket) => {
    for (const frame of frames) socket.send(frame);
    socket.send('{"type":"message","data":"well"}');
  });
  await once(server, "listening");
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new WebSocketClient(url, { subprotocols: ["roomcast.v1"] });
  onDispose(() => client.close());
  const codes: unknown[] = [];
  client.on("error", (error) => codes.push((error as { code?: string }).code));
  await client.connect();
  expect(await client.recv()).toBe("well");
  expect(codes).toEqual(["bad_frame", "bad_frame"]);
});
