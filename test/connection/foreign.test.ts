import { expect, test } from "vitest";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import type { ConnectionManagerOptions } from "../../src/server/options.ts";
import type { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";

const onDispose = useDisposals();

async function start(options: ConnectionManagerOptions = {}): Promise<ConnectionManager> {
  const manager = new ConnectionManager(options);
  onDispose(() => manager.stop({ drainMs: 100 }));
  await manager.start();
  return manager;
}

async function accept(protocols: readonly string[] = []) {
  const accepted = await foreignSocket(protocols);
  onDispose(accepted.dispose);
  return accepted;
}

async function roomMessages(client: Client, count: number): Promise<unknown[]> {
  const messages: unknown[] = [];
  while (messages.length < count) messages.push((await client.nextOfType("message")).data);
  return messages;
}

test("a foreign socket that joins and broadcasts in one turn gets its own message", async () => {
  const manager = await start();
  const { socket, client } = await accept(["roomcast.v1"]);
  const connection = manager.connect(socket);
  client.send({ type: "resume" });
  void connection.join("lobby");
  void manager.broadcastToRoom("lobby", "one");
  void manager.broadcastToRoom("lobby", "two");
  expect(await roomMessages(client, 2)).toEqual(["one", "two"]);
});

test("a foreign socket that is excepted from a message that is sent twice gets what it is sent", async () => {
  const manager = await start();
  const { socket, client } = await accept();
  const connection = manager.connect(socket, { rooms: ["lobby"] });
  await manager.broadcastToRoom("lobby", "not you", { except: connection });
  await manager.broadcastToRoom("lobby", "you");
  expect(await client.next()).toBe("you");
});

test("a foreign socket whose send throws is cut off, is told of, and costs nobody else the message", async () => {
  const manager = await start();
  const errors: string[] = [];
  manager.on("error", (error, { stage }) => void errors.push(`${stage}: ${error}`));
  const [broken, whole] = [await accept(), await accept()];
  broken.socket.send = () => {
    throw new Error("out of order");
  };
  const connection = manager.connect(broken.socket, { rooms: ["lobby"] });
  manager.connect(whole.socket, { rooms: ["lobby"] });
  await manager.broadcastToRoom("lobby", "hello");
  expect(await whole.client.next()).toBe("hello");
  await broken.client.closed();
  await expect.poll(() => connection.state).toBe("closed");
  expect(errors).toEqual(["write: Error: out of order"]);
  expect(manager.count({ room: "lobby" })).toBe(1);
});

test("a replay goes at the pace a foreign socket is read, and no more of it waits here than a page or two", async () => {
  const manager = await start({ rooms: { log: { history: {} } } });
  const { socket, client } = await accept();
  const connection = manager.connect(socket);
  client.socket.pause();
  const text = "x".repeat(100_000);
  const count = 300;
  for (let i = 0; i < count; i++) await manager.broadcastToRoom("log", text);
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, connection.bufferedAmount);
  }, 5);
  const replayed = manager.history.replay(connection, "log");
  await expect.poll(() => most).toBeGreaterThan(0);
  client.socket.resume();
  expect(await replayed).toBe(count);
  clearInterval(watching);
  expect(most).toBeLessThan(4 * 1024 * 1024);
});

test("a fast reader that got a great deal in one turn is not closed for something small in the next", async () => {
  const manager = await start();
  const { socket, client } = await accept();
  const connection = manager.connect(socket);
  void connection.send("x".repeat(15 * 1024 * 1024));
  await new Promise((resolve) => setImmediate(resolve));
  void connection.send("small");
  expect(String(await client.next()).length).toBe(15 * 1024 * 1024);
  expect(await client.next()).toBe("small");
});

test("the address is what the socket tells, unless the application knows better", async () => {
  const manager = await start();
  const [told, known] = [await accept(), await accept()];
  expect(manager.connect(told.socket).remoteAddress).toBe("127.0.0.1");
  const remoteAddress = "198.51.100.7";
  expect(manager.connect(known.socket, { remoteAddress }).remoteAddress).toBe(remoteAddress);
});

test("connecting a socket that has closed gives a connection whose messages end", async () => {
  const manager = await start();
  const { socket, client } = await accept();
  client.socket.terminate();
  await new Promise((resolve) => socket.once("close", resolve));
  const connection = manager.connect(socket);
  expect(connection.state).toBe("closed");
  for await (const _message of connection) throw new Error("There can be none.");
  expect(manager.connectionCount).toBe(0);
});

test("a stop does not wait for a foreign socket that is closing, and cuts it off", async () => {
  const manager = await start();
  const { socket, client } = await accept();
  manager.connect(socket);
  client.socket.pause();
  // Somebody else has begun to close it.
  socket.close(1000);
  let hasClosed = false;
  socket.once("close", () => {
    hasClosed = true;
  });
  await manager.stop({ drainMs: 100 });
  expect(hasClosed).toBe(true);
  expect(manager.connectionCount).toBe(0);
});
