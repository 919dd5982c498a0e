import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

async function start(options: Parameters<typeof startManager>[0] = {}): Promise<ManagerServer> {
  const started = await startManager(options);
  onDispose(started.dispose);
  return started;
}

/** A client that completes the handshake and then never reads. */
async function connectDeaf({ server }: ManagerServer, path: string): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1" });
  onDispose(() => socket.destroy());
  socket.on("error", () => {});
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\n` +
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  await new Promise<void>((resolve) => socket.once("readable", resolve));
  socket.pause();
  return socket;
}

const MEGABYTE = Buffer.alloc(1024 * 1024, "x");

test("a reader who does not keep up is closed with 4413, and nobody else waits for them", async () => {
  const started = await start();
  const { manager } = started;
  const reader = await started.connect("reader");
  await connectDeaf(started, "/?user=deaf");
  await expect.poll(() => manager.isUserConnected("deaf")).toBe(true);
  const disconnected = new Promise<unknown>((resolve) =>
    manager.on("disconnect", ({ userId }, info) => resolve({ userId, info })),
  );
  let sent = 0;
  while (manager.isUserConnected("deaf")) {
    await manager.broadcast(MEGABYTE);
    sent++;
    expect(sent).toBeLessThan(200);
    expect((await reader.client.next()).length).toBe(MEGABYTE.length);
  }
  expect(await disconnected).toEqual({
    userId: "deaf",
    info: { code: 4413, reason: "slow reader" },
  });
  expect(manager.connectionCount).toBe(1);
});

test("a slow reader within the bound gets everything, in order, when they read", async () => {
  const started = await start({ limits: { maxBufferedBytes: 64 * 1024 * 1024 } });
  const { client, connection } = await started.connect("alice");
  client.socket.pause();
  const count = 2000;
  for (let i = 0; i < count; i++) {
    void connection.send(`${i} `.padEnd(10_000, "x"));
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(connection.bufferedAmount).toBeGreaterThan(0);
  client.socket.resume();
  for (let i = 0; i < count; i++) expect(parseInt(String(await client.next()), 10)).toBe(i);
  expect(connection.bufferedAmount).toBe(0);
});

test("what was sent before a close arrives before it, whoever closes", async () => {
  const started = await start();
  const one = await started.connect("alice");
  void one.connection.send("last words");
  one.connection.close(4000, "done");
  void one.connection.send("too late");
  expect(await one.client.next()).toBe("last words");
  expect(await one.client.closed()).toEqual({ code: 4000, reason: "done" });

  const two = await started.connect("bob");
  const got = new Promise<void>((resolve) => two.connection.on("message", () => resolve()));
  two.connection.on("message", () => void two.connection.send("answer"));
  two.client.send("question");
  two.client.socket.close(1000);
  await got;
  // The question and the close frame came in one turn: the answer goes out before ours.
  expect(await two.client.next()).toBe("answer");
  expect(await two.client.closed()).toMatchObject({ code: 1000 });
});

test("pings and pongs pass between messages without harm", async () => {
  const started = await start({ limits: { pingsPerSecond: 1000 } });
  const { client, connection } = await started.connect("alice");
  let pongs = 0;
  client.socket.on("pong", () => pongs++);
  for (let i = 0; i < 500; i++) {
    void connection.send(`message ${i}`);
    if (i % 5 === 0) client.socket.ping();
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (let i = 0; i < 500; i++) expect(await client.next()).toBe(`message ${i}`);
  expect(await connection.ping()).toBeGreaterThan(0);
  await expect.poll(() => pongs).toBe(100);
  await client.close();
  await expect(connection.ping()).rejects.toThrow("closed");
});

test("more than 20,000 messages on one connection work, both ways", async () => {
  const started = await start();
  const { client, connection } = await started.connect("alice");
  let received = 0;
  connection.on("message", (message) => {
    received++;
    void connection.send(message);
  });
  const count = 25_000;
  for (let i = 0; i < count; i++) client.send(`${i}`);
  for (let i = 0; i < count; i++) expect(await client.next()).toBe(`${i}`);
  expect(received).toBe(count);
});

test("a message over the size limit closes its sender with 1009 and nobody else", async () => {
  const started = await start({ config: { maxMessageSize: 1000 } });
  const { manager } = started;
  const errors: string[] = [];
  manager.on("error", (_error, { stage }) => errors.push(stage));
  const big = await started.connect("big");
  const other = await started.connect("other");
  big.client.send("x".repeat(1001));
  expect((await big.client.closed()).code).toBe(1009);
  await manager.broadcast("still here");
  expect(await other.client.next()).toBe("still here");
  expect(errors).toEqual(["socket"]);
});

test("silent clients are closed with 4408, those that answer pings stay", async () => {
  const started = await start({ config: { pingIntervalMs: 100, pingTimeoutMs: 200 } });
  const { manager, url } = started;
  await started.connect("answers");
  const silent = await Client.connect(`${url}/?user=silent`, { autoPong: false });
  const ended = new Promise<unknown>((resolve) =>
    manager.on("disconnect", ({ userId }, info) => resolve({ userId, info })),
  );
  expect(await silent.closed()).toEqual({ code: 4408, reason: "no pong" });
  expect(await ended).toEqual({ userId: "silent", info: { code: 4408, reason: "no pong" } });
  expect(manager.isUserConnected("answers")).toBe(true);
});

test("while we are the ones not reading, a missing pong proves nothing", async () => {
  const started = await start({
    config: { pingIntervalMs: 100, pingTimeoutMs: 100, maxQueueSize: 1 },
  });
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  started.router.protected("/slow", { message: () => gate });
  const client = await Client.connect(`${started.url}/slow?user=alice`);
  const pings: unknown[] = [];
  const pinged = new Promise<void>((resolve) => {
    client.socket.on("ping", () => {
      pings.push(1);
      if (pings.length === 6) resolve();
    });
  });
  // The first is being handled, the second waits, and so the socket is not read.
  for (const message of ["1", "2", "3"]) client.send(message);
  await pinged;
  const [connection] = started.manager.connections();
  expect(connection?.state).toBe("open");
  release();
});

test("no pings without an interval, none are needed to stay", async () => {
  const started = await start({ config: { pingIntervalMs: null, pingTimeoutMs: 100 } });
  const { client, connection } = await started.connect("alice");
  let pings = 0;
  client.socket.on("ping", () => pings++);
  for (let i = 0; i < 3; i++) await connection.ping();
  expect(pings).toBe(3);
});

test("a connection tells what it is", async () => {
  const started = await start();
  const { client, connection } = await started.connect("alice");
  expect(connection).toMatchObject({
    userId: "alice",
    state: "open",
    bufferedAmount: 0,
    remoteAddress: "127.0.0.1",
    metadata: {},
  });
  const before = connection.lastActivityAt;
  const received = new Promise((resolve) => connection.on("message", resolve));
  client.send(new Uint8Array([1, 2]));
  expect(await received).toEqual(Buffer.from([1, 2]));
  expect(connection.lastActivityAt).toBeGreaterThanOrEqual(before);
  const closed = new Promise((resolve) => connection.on("close", resolve));
  await client.close(4321);
  expect(await closed).toEqual({ code: 4321, reason: "" });
  expect(connection.state).toBe("closed");
  expect(() => connection.close(999)).toThrow(RangeError);
  expect(() => connection.close(1000, "x".repeat(124))).toThrow(RangeError);
  expect(() => connection.on("open" as "close", () => {})).toThrow(TypeError);
});
