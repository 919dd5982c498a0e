import { describe, expect, test } from "vitest";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import type { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

async function startTwo(kind: "memory" | "Redis"): Promise<[ManagerServer, ManagerServer]> {
  if (kind === "memory") {
    const backplane = memoryBackplane();
    return [await start(backplane), await start(backplane)];
  }
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const { url } = redis;
  return [await start(redisBackplane({ url })), await start(redisBackplane({ url }))];
}

async function start(backplane: ReturnType<typeof memoryBackplane>): Promise<ManagerServer> {
  const server = await startManager({ backplane });
  onDispose(server.dispose);
  return server;
}

async function member(server: ManagerServer, ...rooms: string[]): Promise<Client> {
  const { client, connection } = await server.connect("somebody");
  for (const room of rooms) await connection.join(room);
  return client;
}

/** Everything that came before a last word to everybody. */
async function heard(client: Client): Promise<unknown[]> {
  const all: unknown[] = [];
  for (;;) {
    const message = await client.next();
    if (message === "the end") return all;
    all.push(message);
  }
}

describe.each(["memory", "Redis"] as const)("a message to several rooms, with %s", (kind) => {
  test("reaches everybody who is in any of them once, on every instance", async () => {
    const [here, there] = await startTwo(kind);
    const clients: Client[] = [];
    for (const server of [here, there]) {
      for (const rooms of [["a"], ["b"], ["a", "b"], ["b", "a", "c"], ["c"], []]) {
        clients.push(await member(server, ...rooms));
      }
    }
    const delivery = await here.manager.broadcastToRoom(["a", "b", "a", "nowhere"], "hello");
    expect(delivery).toEqual({ scope: "cluster", localRecipients: 4 });
    await here.manager.broadcast("the end");
    const counts = await Promise.all(clients.map(async (client) => (await heard(client)).length));
    const each = [1, 1, 1, 1, 0, 0];
    expect(counts).toEqual([...each, ...each]);
  });

  test("leaves out whom it is to leave out", async () => {
    const [here, there] = await startTwo(kind);
    const { client: ann, connection } = await here.connect("ann");
    await connection.join("a");
    await connection.join("b");
    const bob = await member(there, "b");
    await here.manager.broadcastToRoom(["a", "b"], "hello", { except: connection });
    await there.manager.broadcastToRoom(["a", "b"], "hi", { except: { users: ["somebody"] } });
    await there.manager.broadcast("the end");
    expect([await heard(ann), await heard(bob)]).toEqual([["hi"], ["hello"]]);
  });

  test("keeps its place among the messages to each of them", async () => {
    const [here, there] = await startTwo(kind);
    const client = await member(there, "a", "b");
    const sent = [];
    for (let i = 0; i < 50; i++) {
      sent.push(`${i} one`, `${i} both`);
      void here.manager.broadcastToRoom("a", `${i} one`);
      void here.manager.broadcastToRoom(["b", "a"], `${i} both`);
    }
    await here.manager.broadcast("the end");
    expect(await heard(client)).toEqual(sent);
  });
});

test("with roomcast.v1 it comes as one of the first room the client is in, also on the way in", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  server.router.public("/v1", { open: (connection) => connection.join("b") });
  const { Client } = await import("../support/client.ts");
  const client = await Client.connect(`${server.url}/v1`, {}, ["roomcast.v1"]);
  await client.nextOfType("welcome");
  // Held back until the client has said where it stands.
  await server.manager.broadcastToRoom(["a", "b"], "hello");
  client.send({ type: "resume", rooms: {} });
  expect(await client.nextOfType("joined")).toMatchObject({ room: "b" });
  expect(await client.nextOfType("message")).toMatchObject({ room: "b", data: "hello" });
  await server.manager.broadcastToRoom(["b", "a"], "again");
  expect(await client.nextOfType("message")).toMatchObject({ room: "b", data: "again" });
  expect(client.waiting).toEqual([]);
});

test("rooms with a history are not written to by the way", async () => {
  const manager = new ConnectionManager({ rooms: { "log:*": { history: {} } } });
  manager.on("error", () => {});
  await expect(manager.broadcastToRoom(["a", "log:b"], "x")).rejects.toThrow(
    '"log:b", but one to several rooms is in no log',
  );
  await expect(manager.broadcastToRoom(["a"], "x", { persist: true })).rejects.toThrow(TypeError);
  await expect(manager.broadcastToRoom(["a"], "x", { idempotencyKey: "k" })).rejects.toThrow(
    "for messages that are stored",
  );
  await expect(manager.broadcastToRoom(["a", "log:b"], "x", { persist: false })).resolves.toEqual({
    scope: "instance",
    localRecipients: 0,
  });
  await expect(manager.broadcastToRoom([], "x")).resolves.toMatchObject({ localRecipients: 0 });
  await expect(manager.broadcastToRoom(["a", ""], "x")).rejects.toThrow(RangeError);
  const many = Array.from({ length: 101 }, (_, i) => `${i}`);
  await expect(manager.broadcastToRoom(many, "x")).rejects.toThrow("100 rooms at once");
});
