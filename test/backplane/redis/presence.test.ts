import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { PresenceStore, Transition } from "../../../src/backplane/contract/presence-store.ts";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { BackplaneUnavailableError } from "../../../src/protocol/errors.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { type RedisServer, startRedisServer } from "../../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();

const LEASE_MS = 3000;
const ENTRY = { connectedAt: 1, metadata: {} };

async function startRedis(port?: number): Promise<RedisServer> {
  const server = await startRedisServer(port === undefined ? {} : { port });
  onDispose(server.dispose);
  return server;
}

/** A client to look at Redis from outside. */
async function look(port: number): Promise<Client> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` }) as Client;
  client.on("error", () => {});
  await client.connect();
  onDispose(() => client.destroy());
  return client;
}

interface Joined {
  readonly presence: PresenceStore;
  readonly recorder: Recorder;
  stop(): Promise<void>;
}

async function join(port: number, id: string, leaseMs = LEASE_MS): Promise<Joined> {
  const recorder = new Recorder(id);
  const url = `redis://127.0.0.1:${port}`;
  const attachment = redisBackplane({ url, leaseMs }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  return { presence: attachment.presence, recorder, stop: () => attachment.stop() };
}

async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port);
  onDispose(proxy.dispose);
  return proxy;
}

/** Brings users online and into a room of each. */
async function fill(store: PresenceStore, users: readonly string[]): Promise<void> {
  for (const user of users) {
    await store.online(user, ENTRY);
    await store.enter("room", user);
  }
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

function sorted(transitions: readonly Transition[]): string[] {
  return transitions.map(({ type, user, room = "" }) => `${type} ${user} ${room}`.trim()).sort();
}

/** Asks again until the answer is what it should be; a test that waits in vain runs into its time limit. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false))) await wait(20);
}

async function isUp({ recorder }: Joined): Promise<void> {
  await recorder.until(() => recorder.statuses.at(-1) === "connected");
}

async function isDown({ recorder }: Joined): Promise<void> {
  await recorder.until(() => recorder.statuses.at(-1) === "degraded");
}

test("an instance cut off is forgotten with its lease, told once, and back as new", async () => {
  const { port } = await startRedis();
  const proxy = await proxyTo(port);
  const a = await join(proxy.port, "a");
  const b = await join(port, "b");
  const c = await join(port, "c");
  await fill(a.presence, ["alice", "both"]);
  await fill(b.presence, ["both"]);
  await a.presence.joinAsUser("alice", "vip");
  a.recorder.asUser.set("alice", ["vip"]);
  await a.presence.claim("chosen");
  await a.presence.reserve("alice", "chosen", { max: 1, whenFull: "reject" });

  const began = performance.now();
  proxy.cut();
  await until(async () => !(await b.presence.isOnline("alice")));
  expect(performance.now() - began).toBeLessThan(LEASE_MS + 1000);
  expect(await b.presence.locate("chosen")).toBe(null);
  const raised = (): Transition[] => [...b.recorder.raised, ...c.recorder.raised];
  await until(async () => raised().length >= 2);
  const redis = await look(port);
  await until(async () => (await redis.zCard("ws:instances")) === 2);
  expect(sorted(raised())).toEqual(["leave alice room", "offline alice"]);
  expect(await redis.keys("ws:*alice*")).toEqual([]);
  expect(await collect(b.presence.onlineUsers())).toEqual(["both"]);
  expect(await b.presence.onlineCount()).toBe(1);

  proxy.restore();
  await isUp(a);
  await a.recorder.until(() => a.recorder.raised.length >= 2);
  expect(await collect(b.presence.roomUsers("room"))).toEqual(["alice", "both"]);
  expect(sorted(a.recorder.raised)).toEqual(["join alice room", "online alice"]);
  // Chosen ids and reserved places follow the users.
  await until(async () => (await b.presence.locate("chosen")) === "a");
  expect((await b.presence.online("alice", ENTRY)).rooms).toEqual(["vip"]);
  await until(async () => {
    const limit = { max: 1, whenFull: "reject" } as const;
    const { granted } = await b.presence.reserve("alice", "other", limit);
    if (granted) await b.presence.unreserve("alice", "other");
    return !granted;
  });
});

test("a Redis that comes back empty is told everything again, in silence", async () => {
  const server = await startRedis();
  const a = await join(server.port, "a");
  const b = await join(server.port, "b");
  await fill(a.presence, ["alice", "both"]);
  await fill(b.presence, ["both", "bob"]);
  a.recorder.asUser.set("alice", ["vip"]);
  await a.presence.claim("chosen");
  await server.kill();
  for (const instance of [a, b]) await isDown(instance);
  await expect(a.presence.isOnline("alice")).rejects.toThrow(BackplaneUnavailableError);
  await expect(collect(a.presence.onlineUsers())).rejects.toThrow(BackplaneUnavailableError);

  await startRedis(server.port);
  for (const instance of [a, b]) await isUp(instance);
  await until(async () => (await b.presence.onlineCount()) === 3);
  await until(async () => (await b.presence.roomUserCount("room")) === 3);
  expect(await collect(a.presence.roomUsers("room"))).toEqual(["alice", "bob", "both"]);
  expect(await collect(b.presence.userRooms("alice"))).toEqual(["room"]);
  await until(async () => (await b.presence.locate("chosen")) === "a");
  expect((await b.presence.online("alice", ENTRY)).rooms).toEqual(["vip"]);
  expect([...a.recorder.raised, ...b.recorder.raised]).toEqual([]);
});

test("FLUSHALL and SCRIPT FLUSH under way lose nobody", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  const b = await join(port, "b");
  await fill(a.presence, ["alice"]);
  const redis = await look(port);
  await redis.scriptFlush();
  await fill(b.presence, ["bob"]);
  await redis.flushAll();
  // Each notices at its next call, or else at its next heartbeat.
  expect(await a.presence.isOnline("alice")).toBe(true);
  expect((await b.presence.online("carol", ENTRY)).first).toBe(true);
  await until(async () => (await a.presence.onlineCount()) === 3);
  expect(await collect(a.presence.onlineUsers())).toEqual(["alice", "bob", "carol"]);
  expect([...a.recorder.raised, ...b.recorder.raised]).toEqual([]);
});

test("Redis frozen for longer than a lease: nobody is taken for dead", async () => {
  const server = await startRedis();
  const a = await join(server.port, "a");
  const b = await join(server.port, "b");
  await fill(a.presence, ["alice"]);
  await fill(b.presence, ["bob"]);
  server.stop();
  for (const instance of [a, b]) await isDown(instance);
  // What is promised is about this time having passed.
  await wait(LEASE_MS + 1500);
  server.cont();
  await isUp(a);
  expect(await collect(a.presence.onlineUsers())).toEqual(["alice", "bob"]);
  await isUp(b);
  await wait(LEASE_MS);
  expect(await collect(b.presence.onlineUsers())).toEqual(["alice", "bob"]);
  expect([...a.recorder.raised, ...b.recorder.raised]).toEqual([]);
});

test("what happened while Redis was away is made up for", async () => {
  const server = await startRedis();
  const proxy = await proxyTo(server.port);
  const a = await join(proxy.port, "a", 60_000);
  const b = await join(server.port, "b", 60_000);
  await fill(a.presence, ["stays", "goes"]);
  await a.presence.claim("old");
  proxy.cut();
  await isDown(a);
  // Nobody is told of what Redis has not confirmed: others may hold them too.
  expect(await a.presence.exit("room", "goes")).toBe(false);
  expect(await a.presence.offline("goes")).toBe(false);
  expect(await a.presence.online("comes", ENTRY)).toEqual({ first: false, rooms: [], version: 0 });
  expect(await a.presence.enter("room", "comes")).toBe(false);
  expect(a.recorder.raised).toEqual([]);
  expect((await a.presence.joinAsUser("comes", "vip")).changed).toBe(true);
  expect((await a.presence.joinAsUser("elsewhere", "vip")).changed).toBe(false);
  a.recorder.asUser.set("comes", ["vip"]);
  await a.presence.release("old");
  expect(await a.presence.claim("new")).toBe(null);
  const limit = { max: 1, whenFull: "reject" } as const;
  expect((await a.presence.reserve("comes", "one", limit)).granted).toBe(true);
  expect((await a.presence.reserve("comes", "two", limit)).granted).toBe(false);
  expect(await collect(b.presence.onlineUsers())).toEqual(["goes", "stays"]);
  proxy.restore();
  await isUp(a);
  expect(await collect(a.presence.onlineUsers())).toEqual(["comes", "stays"]);
  expect(await collect(b.presence.roomUsers("room"))).toEqual(["comes", "stays"]);
  expect(await b.presence.locate("old")).toBe(null);
  expect(await b.presence.locate("new")).toBe("a");
  expect((await b.presence.online("comes", ENTRY)).rooms).toEqual(["vip"]);
  expect((await b.presence.reserve("comes", "three", limit)).granted).toBe(false);
  await a.recorder.until(() => a.recorder.raised.length >= 4);
  expect(sorted(a.recorder.raised)).toEqual([
    "join comes room",
    "leave goes room",
    "offline goes",
    "online comes",
  ]);
});

test("an instance that starts without Redis registers when it comes", async () => {
  const server = await startRedis();
  await server.kill();
  const a = await join(server.port, "a");
  await fill(a.presence, ["alice"]);
  await startRedis(server.port);
  await isUp(a);
  expect(await collect(a.presence.roomUsers("room"))).toEqual(["alice"]);
  expect(sorted(a.recorder.raised)).toEqual(["join alice room", "online alice"]);
});

test("users of a dead instance who are elsewhere by then are not told gone", async () => {
  const { port } = await startRedis();
  const proxy = await proxyTo(port);
  const a = await join(proxy.port, "a");
  const b = await join(port, "b");
  await fill(a.presence, ["moves", "stays away"]);
  proxy.cut();
  await isDown(a);
  expect((await b.presence.online("moves", ENTRY)).first).toBe(false);
  expect(await b.presence.enter("room", "moves")).toBe(false);
  await b.recorder.until(() => b.recorder.raised.length >= 2);
  const redis = await look(port);
  await until(async () => (await redis.zCard("ws:instances")) === 1);
  expect(sorted(b.recorder.raised)).toEqual(["leave stays away room", "offline stays away"]);
});

test("a write of a connection that was given up harms nobody when it turns up late", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  await a.presence.online("somebody", ENTRY);
  const redis = await look(port);
  await redis.configSet("slowlog-log-slower-than", "0");
  await a.presence.online("alice", ENTRY);
  const log = (await redis.sendCommand(["SLOWLOG", "GET", "-1"])) as [
    number,
    number,
    number,
    string[],
  ][];
  const write = log.map(([, , , command]) => command).find((command) => command.includes("alice"));
  await a.presence.offline("alice");
  // Made once, however often it comes, and not at all after what followed it.
  expect(await redis.sendCommand(write ?? [])).toBe(null);
  expect(await a.presence.isOnline("alice")).toBe(false);
  await redis.sendCommand(["CLIENT", "KILL", "TYPE", "normal"]);
  await isDown(a);
  await isUp(a);
  expect(await redis.sendCommand(write ?? [])).toBe(null);
  expect(await a.presence.isOnline("alice")).toBe(false);
});

test("heartbeats cost the same however many are here, and each is one command", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a", 1500);
  const redis = await look(port);
  const evals = async (): Promise<number> => {
    const stats = await redis.info("commandstats");
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  const perSecond = async (): Promise<number> => {
    const before = await evals();
    await wait(3000);
    return (await evals()) - before;
  };
  const empty = await perSecond();
  await fill(
    a.presence,
    Array.from({ length: 500 }, (_, i) => `user ${i}`),
  );
  const full = await perSecond();
  expect(empty).toBeGreaterThanOrEqual(5);
  expect(empty).toBeLessThanOrEqual(8);
  expect(Math.abs(full - empty)).toBeLessThanOrEqual(1);
});

test("an instance that leaves in good order leaves nothing behind", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  await fill(a.presence, ["alice", "bob"]);
  await a.presence.joinAsUser("alice", "vip");
  await a.presence.claim("chosen");
  await a.presence.reserve("alice", "chosen", { max: 1, whenFull: "reject" });
  expect(await a.presence.withdraw()).toHaveLength(4);
  await a.stop();
  const redis = await look(port);
  expect(await redis.keys("*")).toEqual(["ws:cluster"]);
});

test("metadata that is no JSON stays with its instance", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  await a.presence.online("alice", { connectedAt: 1, metadata: { big: 1n } });
  expect((await a.presence.get("alice")).instances).toEqual([
    { instance: "a", connectedAt: 1, metadata: {} },
  ]);
  expect(a.recorder.troubles).toHaveLength(1);
});

test("a Redis that comes back with older data is put right, in silence", async () => {
  const folder = mkdtempSync(joinPath(tmpdir(), "roomcast-reverted-"));
  onDispose(() => rmSync(folder, { recursive: true, force: true }));
  const server = await startRedisServer({ folder });
  onDispose(server.dispose);
  const a = await join(server.port, "a", 60_000);
  const b = await join(server.port, "b", 60_000);
  await fill(a.presence, ["stays", "goes"]);
  await a.presence.claim("old");
  await (await look(server.port)).sendCommand(["SAVE"]);
  // As after a failover to a replica that lagged behind, Redis will know nothing of this.
  await a.presence.exit("room", "goes");
  await a.presence.offline("goes");
  await a.presence.release("old");
  await fill(a.presence, ["comes"]);
  await a.presence.claim("new");
  await server.kill();
  for (const instance of [a, b]) await isDown(instance);
  const again = await startRedisServer({ port: server.port, folder });
  onDispose(again.dispose);
  for (const instance of [a, b]) await isUp(instance);
  await until(
    async () => (await b.presence.isOnline("comes")) && !(await b.presence.isOnline("goes")),
  );
  expect(await collect(b.presence.roomUsers("room"))).toEqual(["comes", "stays"]);
  expect(await collect(b.presence.userRooms("goes"))).toEqual([]);
  await until(async () => (await b.presence.locate("new")) === "a");
  await until(async () => (await b.presence.locate("old")) === null);
  expect([...a.recorder.raised, ...b.recorder.raised]).toEqual([]);
});
