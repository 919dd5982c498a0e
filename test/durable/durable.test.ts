import { createClient } from "@redis/client";
import { describe, expect, test } from "vitest";
import type { Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();

const rooms = {
  "log:*": { history: {} },
  "soft:*": { history: {}, whenUnavailable: "ephemeral" as const },
};

async function start(backplane: Backplane): Promise<ManagerServer> {
  const one = await startManager({ backplane, rooms });
  onDispose(one.dispose);
  one.router.optional("/v1", { authorize: () => true }, { message: () => {} });
  return one;
}

async function startRedis(config: readonly string[] = []): Promise<RedisServer> {
  const redis = await startRedisServer({ config });
  onDispose(redis.dispose);
  return redis;
}

async function member(one: ManagerServer, room: string): Promise<Client> {
  const { client, connection } = await one.connect();
  await connection.join(room);
  return client;
}

/** A client that resumes one room. */
async function resume(one: ManagerServer, room: string, position: string): Promise<Client> {
  const client = await Client.connect(`${one.url}/v1`, {}, ["roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  client.send({ type: "resume", rooms: { [room]: position } });
  return client;
}

async function send(one: ManagerServer, room: string, ...texts: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const text of texts) ids.push((await one.manager.broadcastToRoom(room, text)).id ?? "");
  return ids;
}

describe.each([
  { name: "memory", make: async () => memoryBackplane() },
  { name: "Redis", make: async () => redisBackplane({ url: (await startRedis()).url }) },
])("histories over $name", ({ make }) => {
  test("are read a page at a time when awaited, and whole when iterated", async () => {
    const one = await start(await make());
    const ids = await send(one, "log:a", ..."abcdefg");
    const page = await one.manager.history.read("log:a", { limit: 3 });
    expect(page.messages.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    expect(page.next).toBe(ids[2]);
    const texts: unknown[] = [];
    const since = ids[1] ?? "";
    for await (const { data } of one.manager.history.read("log:a", { since, limit: 2 })) {
      texts.push(data);
    }
    expect(texts).toEqual([..."cdefg"]);
    await expect(one.manager.history.read("log:a", { since: "x" })).rejects.toThrow(RangeError);
    await expect(one.manager.history.read("a{")).rejects.toThrow(RangeError);
  });

  test("are read in pages of about 1 MiB, however many messages are asked for", async () => {
    const one = await start(await make());
    const text = "x".repeat(300_000);
    const ids = await send(one, "log:big", ...Array.from({ length: 9 }, () => text));
    const page = await one.manager.history.read("log:big", { limit: 10_000 });
    expect(page.messages.map(({ id }) => id)).toEqual(ids.slice(0, 4));
    expect(page.next).toBe(ids[3]);
    const all: string[] = [];
    for await (const { id } of one.manager.history.read("log:big", { limit: 10_000 })) all.push(id);
    expect(all).toEqual(ids);
    // One that is larger alone is a page of its own, never none.
    await send(one, "log:huge", "y".repeat(3_000_000), "small");
    const huge = await one.manager.history.read("log:huge");
    expect(huge.messages).toHaveLength(1);
    expect((await one.manager.history.read("log:huge", { since: huge.next ?? "" })).next).toBe(
      undefined,
    );
  });

  test("are replayed to the one connection that asked, JSON as JSON and bytes as bytes", async () => {
    const one = await start(await make());
    const { manager } = one;
    const asking = await one.connect("alice");
    const other = await one.connect("bob");
    const ids: unknown[] = [];
    const except = { users: ["alice"] };
    for (const message of [{ n: 1 }, "text", new Uint8Array([1, 2])]) {
      ids.push((await manager.broadcastToRoom("log:a", message)).id);
    }
    await manager.broadcastToRoom("log:a", "not for alice", { except });
    expect(await manager.history.replay(asking.connection, "log:a", { since: "0" })).toBe(3);
    const [first, second] = [await asking.client.nextJson(), await asking.client.nextJson()];
    expect(first).toEqual({ type: "replay", message_id: ids[0], data: { n: 1 } });
    expect(second).toEqual({ type: "replay", message_id: ids[1], data: "text" });
    const bytes = Buffer.from(await asking.client.next());
    const end = 2 + bytes.readUInt16BE(0);
    expect(JSON.parse(bytes.toString("utf8", 2, end))).toEqual({
      type: "replay",
      message_id: ids[2],
    });
    expect([...bytes.subarray(end)]).toEqual([1, 2]);
    const since = String(ids[0]);
    expect(await manager.history.replay(other.connection, "log:a", { since, limit: 1 })).toBe(1);
    expect(await other.client.nextJson()).toMatchObject({ message_id: ids[1] });
    await other.client.close();
    await expect(manager.history.replay(other.connection, "log:a")).rejects.toThrow(RangeError);
  });

  test("that are replayed to a connection which ends before it has them all reject, and say so", async () => {
    const one = await start(await make());
    const { manager } = one;
    const { client, connection } = await one.connect("alice");
    const big = "x".repeat(200_000);
    for (let i = 0; i < 30; i++) await manager.broadcastToRoom("log:long", big);
    client.socket.pause();
    const replaying = manager.history.replay(connection, "log:long");
    connection.close(4001, "enough");
    await expect(replaying).rejects.toMatchObject({
      code: "connection_closed",
      closeCode: 4001,
      reason: "enough",
    });
    client.socket.resume();
  });

  test("take a message with an idempotency key once", async () => {
    const one = await start(await make());
    const client = await member(one, "log:a");
    const { manager } = one;
    const idempotencyKey = "order-17";
    const first = await manager.broadcastToRoom("log:a", "paid", { idempotencyKey });
    const again = await manager.broadcastToRoom("log:a", "paid", { idempotencyKey });
    expect(again).toEqual({ scope: "cluster", localRecipients: 0, id: first.id });
    await send(one, "log:a", "next");
    expect([await client.next(), await client.next()]).toEqual(["paid", "next"]);
    for (const wrong of ["", "x".repeat(257), 5 as unknown as string]) {
      const sent = manager.broadcastToRoom("log:a", "x", { idempotencyKey: wrong });
      await expect(sent).rejects.toThrow("idempotencyKey must be text");
    }
    const plain = manager.broadcastToRoom("plain", "x", { idempotencyKey });
    await expect(plain).rejects.toThrow(TypeError);
    await expect(manager.broadcast("x", { persist: true })).rejects.toThrow(TypeError);
  });
});

test("a plain client gets what was sent while its instance had no subscription, before anything newer", async () => {
  const redis = await startRedis();
  const proxy = await startTcpProxy(redis.port);
  onDispose(proxy.dispose);
  const cut = await start(redisBackplane({ url: `redis://127.0.0.1:${proxy.port}` }));
  const whole = await start(redisBackplane({ url: redis.url }));
  const client = await member(cut, "log:a");
  await send(whole, "log:a", "before");
  expect(await client.next()).toBe("before");
  proxy.cut();
  await expect.poll(() => cut.manager.status).toBe("degraded");
  const missed = Array.from({ length: 500 }, (_, i) => `missed ${i}`);
  await send(whole, "log:a", ...missed);
  proxy.restore();
  const newer = send(whole, "log:a", "newer");
  for (const text of [...missed, "newer"]) expect(await client.next()).toBe(text);
  await newer;
  expect(cut.manager.history.gaps).toBe(0);
});

test("a subscription that goes unnoticed for one message is noticed with the next", async () => {
  const redis = await startRedis();
  const one = await start(redisBackplane({ url: redis.url }));
  const admin = createClient({ url: redis.url });
  await admin.connect();
  onDispose(() => admin.destroy());
  const client = await member(one, "log:a");
  const [first = ""] = await send(one, "log:a", "first");
  expect(await client.next()).toBe("first");
  // As if the message between had been published and never arrived.
  const [entry] = (await admin.xRange("ws:log:room:log:a", "-", "+")) ?? [];
  const message = { ...entry?.message, prev: first, nonce: "between" };
  const id = await admin.xAdd("ws:log:room:log:a", "*", message);
  await admin.set("ws:log-end:room:log:a", `${id}~between`);
  await send(one, "log:a", "last");
  expect([await client.next(), await client.next()]).toEqual(["first", "last"]);
});

test("where the log lost messages its members are told, and go on", async () => {
  const redis = await startRedis();
  const one = await start(redisBackplane({ url: redis.url }));
  const client = await resume(one, "log:a", "0");
  await client.nextOfType("joined");
  const plain = await member(one, "log:a");
  await send(one, "log:a", "before");
  expect(await client.nextJson()).toMatchObject({ data: "before" });
  const admin = createClient({ url: redis.url });
  await admin.connect();
  onDispose(() => admin.destroy());
  await admin.flushAll();
  const [id] = await send(one, "log:a", "after");
  expect(await client.nextJson()).toEqual({ type: "gap", room: "log:a" });
  expect(await client.nextJson()).toMatchObject({ id, prev: "0", data: "after" });
  expect([await plain.next(), await plain.next()]).toEqual(["before", "after"]);
  expect(one.manager.history.gaps).toBe(1);
});

test("a thousand clients that resume one room cost Redis a handful of reads", async () => {
  const redis = await startRedis();
  const [dies, lives] = [redisBackplane({ url: redis.url }), redisBackplane({ url: redis.url })];
  const one = await start(dies);
  const other = await start(lives);
  const ids = await send(one, "log:a", ...Array.from({ length: 300 }, (_, i) => String(i)));
  // Somebody is there already: it follows the room.
  await member(other, "log:a");
  const admin = createClient({ url: redis.url });
  await admin.connect();
  onDispose(() => admin.destroy());
  const reads = async (): Promise<number> => {
    const stats = await admin.info("commandstats");
    const calls = [...stats.matchAll(/cmdstat_(?:xrange|xrevrange):calls=(\d+)/g)];
    return calls.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const before = await reads();
  const clients = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const position = ids[i % 250] ?? "";
      return { client: await resume(other, "log:a", position), missed: 299 - (i % 250) };
    }),
  );
  for (const { client, missed } of clients) {
    expect(await client.nextOfType("joined")).toMatchObject({ recovered: true });
    for (let i = 300 - missed; i < 300; i++) {
      expect(await client.nextJson()).toMatchObject({ data: String(i) });
    }
  }
  // The tail is read a page at a time: 300 messages are ten pages.
  expect((await reads()) - before).toBeLessThanOrEqual(12);
  expect(other.manager.history.resumes).toEqual({ recovered: 1000, lost: 0 });
});

test("a room that was left while it was being joined leaves no subscription behind", async () => {
  const redis = await startRedis();
  const one = await start(redisBackplane({ url: redis.url }));
  const { connection } = await one.connect();
  const admin = createClient({ url: redis.url });
  await admin.connect();
  onDispose(() => admin.destroy());
  const subscribers = async (): Promise<number> =>
    Number((await admin.pubSubNumSub(["ws:room:log:a"]))["ws:room:log:a"]);
  const joining = connection.join("log:a");
  await connection.leave("log:a");
  await joining;
  expect(await subscribers()).toBe(1);
  await expect.poll(subscribers).toBe(0);
});

test("a log that cannot be read does not hold up its room", async () => {
  const redis = await startRedis();
  const one = await start(redisBackplane({ url: redis.url }));
  const stages: string[] = [];
  one.manager.on("error", (_error, { stage }) => stages.push(stage));
  const admin = createClient({ url: redis.url });
  await admin.connect();
  onDispose(() => admin.destroy());
  await admin.set("ws:log:room:log:a", "no stream");
  const client = await member(one, "log:a");
  await one.manager.broadcastToRoom("log:a", "fleeting", { persist: false });
  expect(await client.next()).toBe("fleeting");
  expect(stages).toContain("history");
});

test("with the backplane away a durable message rejects, or goes out as an ephemeral one where the policy says so", async () => {
  const redis = await startRedis();
  const one = await start(redisBackplane({ url: redis.url }));
  const hard = await member(one, "log:a");
  const soft = await member(one, "soft:a");
  await redis.kill();
  await expect.poll(() => one.manager.status).toBe("degraded");
  const refused = one.manager.broadcastToRoom("log:a", "x");
  await expect(refused).rejects.toThrow(BackplaneUnavailableError);
  await expect(refused).rejects.toMatchObject({ outcome: "not-stored" });
  const sent = await one.manager.broadcastToRoom("soft:a", "soft");
  expect(sent).toEqual({ scope: "instance", localRecipients: 1 });
  expect(await soft.next()).toBe("soft");
  for (const insisting of [{ persist: true }, { idempotencyKey: "k" }]) {
    await expect(one.manager.broadcastToRoom("soft:a", "x", insisting)).rejects.toThrow(
      BackplaneUnavailableError,
    );
  }
  await one.manager.broadcastToRoom("log:a", "fleeting", { persist: false });
  expect(await hard.next()).toBe("fleeting");
});

test("a client that resumes while Redis is away waits for it, and then has everything", async () => {
  const redis = await startRedis(["appendonly yes", "appendfsync always"]);
  const one = await start(redisBackplane({ url: redis.url }));
  const other = await start(redisBackplane({ url: redis.url }));
  const [first = "", second] = await send(one, "log:a", "1", "2");
  await redis.kill();
  await expect.poll(() => other.manager.status).toBe("degraded");
  const client = await resume(other, "log:a", first);
  await client.nextOfType("welcome");
  client.send({ type: "ping" });
  expect(await client.nextJson()).toEqual({ type: "pong" });
  // What is ephemeral waits behind it.
  await other.manager.broadcastToRoom("log:a", "meanwhile", { persist: false });
  const again = await startRedisServer({
    config: ["appendonly yes"],
    port: redis.port,
    folder: redis.folder,
  });
  onDispose(again.dispose);
  expect(await client.nextJson()).toMatchObject({
    type: "joined",
    recovered: true,
    position: second,
  });
  expect(await client.nextJson()).toMatchObject({ id: second, data: "2" });
  expect(await client.nextJson()).toEqual({ type: "message", room: "log:a", data: "meanwhile" });
});

test("a replica that is promoted with its clock an hour behind costs at most a gap, and drops nothing", async () => {
  const primary = await startRedis(["repl-diskless-sync-delay 0"]);
  const replica = await startRedis([`replicaof 127.0.0.1 ${primary.port}`]);
  const proxy = await startTcpProxy(primary.port);
  onDispose(proxy.dispose);
  const [admin, copy] = [createClient({ url: primary.url }), createClient({ url: replica.url })];
  for (const client of [admin, copy]) {
    await client.connect();
    onDispose(() => client.destroy());
  }
  const one = await start(redisBackplane({ url: `redis://127.0.0.1:${proxy.port}` }));
  const client = await resume(one, "log:a", "0");
  await client.nextOfType("joined");
  const plain = await member(one, "log:a");
  // The clock of the primary is an hour ahead of the replica's: so are the positions it gave.
  await send(one, "log:a", "0");
  const [entry] = (await admin.xRange("ws:log:room:log:a", "-", "+")) ?? [];
  const ahead = `${Date.now() + 3_600_000}-0`;
  await admin.xAdd("ws:log:room:log:b", ahead, { ...entry?.message, prev: "0", nonce: "ahead" });
  await admin.set("ws:log-end:room:log:b", `${ahead}~ahead`);
  const member2 = await resume(one, "log:b", `${ahead}~ahead`);
  expect(await member2.nextOfType("joined")).toMatchObject({ recovered: true });
  const [lost] = await send(one, "log:b", "1");
  expect(Number(lost?.split("-")[0])).toBeGreaterThan(Date.now() + 3_000_000);
  expect(await member2.nextJson()).toMatchObject({ data: "1" });
  // The replica has room a, and nothing of room b.
  await expect.poll(() => copy.exists("ws:log:room:log:a")).toBe(1);
  await copy.sendCommand(["REPLICAOF", "NO", "ONE"]);
  await copy.del(["ws:log:room:log:b", "ws:log-end:room:log:b"]);
  const statuses: string[] = [];
  one.manager.on("status", ({ status }) => statuses.push(status));
  proxy.retarget(replica.port);
  await expect.poll(() => statuses.join(" ")).toMatch(/degraded.*healthy$/);
  const [after] = await send(one, "log:b", "2");
  expect(Number(after?.split("-")[0])).toBeLessThan(Date.now() + 60_000);
  expect(await member2.nextJson()).toEqual({ type: "gap", room: "log:b" });
  expect(await member2.nextJson()).toMatchObject({ id: after, data: "2" });
  await send(one, "log:a", "3");
  expect([await plain.next(), await plain.next()]).toEqual(["0", "3"]);
  expect(await client.nextJson()).toMatchObject({ data: "0" });
  expect(await client.nextJson()).toMatchObject({ data: "3" });
});
