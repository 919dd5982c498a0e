import { expect, test } from "vitest";
import { memoryBackplane } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

async function start(options: Parameters<typeof startManager>[0] = {}): Promise<ManagerServer> {
  const started = await startManager(options);
  onDispose(started.dispose);
  return started;
}

test("every client hears the goodbye and is closed, and only then is the manager stopped", async () => {
  const { manager, connect } = await start();
  const clients = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => (await connect(`user ${i}`)).client),
  );
  void manager.broadcast("before");
  const stopped = manager.stop({ message: { type: "system", message: "bye" }, reason: "restart" });
  expect(manager.status).toBe("healthy");
  await stopped;
  expect(manager.status).toBe("draining");
  expect(manager.connectionCount).toBe(0);
  for (const client of clients) {
    expect(await client.next()).toBe("before");
    expect(await client.nextJson()).toEqual({ type: "system", message: "bye" });
    expect(await client.closed()).toEqual({ code: 1012, reason: "restart" });
  }
  expect(manager.stop()).toBe(stopped);
  await manager[Symbol.asyncDispose]();
});

test("whoever does not answer the close is cut off at the deadline", async () => {
  const { manager, url } = await start();
  const client = await Client.connect(`${url}/?user=deaf`);
  client.socket.pause();
  await manager.stop({ drainMs: 200 });
  expect(manager.connectionCount).toBe(0);
  client.socket.resume();
  await client.closed();
});

test("a slow reader hears the goodbye after everything that was sent before", async () => {
  const { manager, connect } = await start({ limits: { maxBufferedBytes: 64 * 1024 * 1024 } });
  const { client } = await connect("slow");
  client.socket.pause();
  const count = 300;
  for (let i = 0; i < count; i++) {
    await manager.broadcast(`${i} `.padEnd(50_000, "x"));
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const stopped = manager.stop({ message: "bye" });
  client.socket.resume();
  for (let i = 0; i < count; i++) expect(parseInt(String(await client.next()), 10)).toBe(i);
  expect(await client.next()).toBe("bye");
  expect((await client.closed()).code).toBe(1012);
  await stopped;
});

test("handlers finish their clean-up, which may still publish to others", async () => {
  const backplane = memoryBackplane();
  const stopping = await start({ backplane });
  const staying = await start({ backplane });
  stopping.router.protected("/chat", {
    open: (connection) => connection.join("room"),
    close: async (connection, { code }) => {
      await new Promise((resolve) => setImmediate(resolve));
      await stopping.manager.broadcastToRoom("room", `${connection.userId} left with ${code}`);
    },
  });
  const watcher = await staying.connect("watcher");
  await watcher.connection.join("room");
  await Client.connect(`${stopping.url}/chat?user=alice`);
  await expect.poll(() => stopping.manager.count({ room: "room" })).toBe(1);
  await stopping.manager.stop();
  expect(await watcher.client.next()).toBe("alice left with 1012");
});

test("a handler that never ends does not hold up the stop for ever", async () => {
  const { manager, router, url } = await start();
  router.protected("/stuck", async () => {
    await new Promise(() => {});
  });
  const client = await Client.connect(`${url}/stuck?user=alice`);
  await manager.stop({ drainMs: 100 });
  expect((await client.closed()).code).toBe(1012);
});

test("until the balancer has noticed, connections are taken, and closed with the others", async () => {
  const { manager, url } = await start();
  const draining = new Promise((resolve) => manager.on("status", resolve));
  const stopped = manager.stop({ readinessDelayMs: 500 });
  expect(await draining).toEqual({ status: "draining" });
  const late = await Client.connect(`${url}/?user=late`);
  await manager.sendToUser("late", "welcome all the same");
  expect(await late.next()).toBe("welcome all the same");
  expect((await late.closed()).code).toBe(1012);
  await stopped;
});

test("while it drains new connections are refused: 503 before the upgrade, 1012 after it", async () => {
  const { manager, url, connect } = await start();
  const alice = await connect("alice");
  // Who does not answer the close makes it last.
  alice.client.socket.pause();
  const stopped = manager.stop({ drainMs: 1000 });
  await expect.poll(() => manager.accepting).toBe(false);
  await expect(Client.connect(`${url}/?user=late`)).rejects.toThrow("503");
  const { socket, client, dispose } = await foreignSocket();
  onDispose(dispose);
  const connection = manager.connect(socket);
  let disconnects = 0;
  manager.on("disconnect", () => disconnects++);
  const ended = new Promise((resolve) => connection.on("close", resolve));
  expect(connection.state).not.toBe("open");
  expect((await client.closed()).code).toBe(1012);
  await ended;
  await stopped;
  // Alice's alone: who was never connected does not disconnect.
  expect(disconnects).toBe(1);
  await expect(Client.connect(`${url}/?user=later`)).rejects.toThrow("503");
});

test("a stop before the start, and two starts, are fine", async () => {
  const early = await start({ start: false });
  await early.manager.stop();
  await expect(early.manager.start()).rejects.toThrow("make a new ConnectionManager");
  expect(early.manager.status).toBe("draining");
  const twice = await start();
  expect(twice.manager.start()).toBe(twice.manager.start());
  await twice.manager.start();
  expect(twice.manager.status).toBe("healthy");
});

test("wrong options of a stop are named, and the manager goes on", async () => {
  const { manager } = await start();
  for (const options of [{ drainMs: -1 }, { readinessDelayMs: Number.NaN }, { code: 1006 }]) {
    await expect(manager.stop(options)).rejects.toThrow(RangeError);
  }
  await expect(manager.stop({ message: () => {} })).rejects.toThrow(TypeError);
  expect(manager.status).toBe("healthy");
});

test("a stop does not use up its deadline for clients that are held up", async () => {
  const { manager, router, url } = await start({ config: { maxQueueSize: 2 } });
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  router.protected("/busy", { message: () => released });
  const client = await Client.connect(`${url}/busy?user=alice`);
  for (let i = 0; i < 20; i++) client.send(`${i}`.padEnd(50_000, "x"));
  await expect.poll(() => manager.connectionCount).toBe(1);
  const stopped = manager.stop({ drainMs: 60_000 });
  expect((await client.closed()).code).toBe(1012);
  release();
  const begun = performance.now();
  await stopped;
  expect(performance.now() - begun).toBeLessThan(30_000);
});

test("what clients sent before they were told of the stop is handled", async () => {
  const { manager, router, url } = await start();
  const handled: string[] = [];
  router.protected("/slow", {
    message: async (_connection, message) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      handled.push(String(message));
    },
  });
  const client = await Client.connect(`${url}/slow?user=alice`);
  for (let i = 0; i < 10; i++) client.send(`${i}`);
  await expect.poll(() => handled.length).toBeGreaterThan(0);
  await manager.stop();
  expect(handled).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
});
