import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Client as RedisClient } from "../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import type { Client } from "../support/client.ts";
import { type ClusterInstance, startInstance } from "../support/cluster.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

const LEASE_MS = 3000;

async function startRedis(port?: number): Promise<RedisServer> {
  const server = await startRedisServer(port === undefined ? {} : { port });
  onDispose(server.dispose);
  return server;
}

async function start(server: RedisServer, ...ids: string[]): Promise<ClusterInstance[]> {
  return Promise.all(
    ids.map(async (id) => {
      const instance = await startInstance(server.url, id, LEASE_MS);
      onDispose(instance.kill);
      return instance;
    }),
  );
}

/** A manager in this process, to ask and to listen with. */
async function watcher(server: RedisServer): Promise<ManagerServer & { events: string[] }> {
  const backplane = redisBackplane({ url: server.url, leaseMs: LEASE_MS });
  const watching = await startManager({ backplane, instanceId: "watcher" });
  onDispose(watching.dispose);
  const events: string[] = [];
  for (const event of ["online", "offline"] as const) {
    watching.manager.on(event, ({ user }) => events.push(`${event} ${user}`));
  }
  for (const event of ["join", "leave"] as const) {
    watching.manager.on(event, ({ user, room }) => events.push(`${event} ${user} ${room}`));
  }
  return Object.assign(watching, { events });
}

async function member(instance: ClusterInstance, user: string, room: string): Promise<Client> {
  const client = await instance.connect(user);
  onDispose(() => client.socket.terminate());
  client.send(`join ${room}`);
  expect(await client.next()).toBe(`done join ${room}`);
  return client;
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(20);
}

/** Everything that was told, on whatever instance, of those who went. */
function departures(...told: readonly (readonly string[])[]): string[] {
  return told
    .flat()
    .filter((line) => /^(offline|leave) /.test(line))
    .sort();
}

/** The last status an instance told of. */
function status(instance: ClusterInstance): string | undefined {
  return instance.lines.findLast((line) => line.startsWith("status "))?.slice("status ".length);
}

async function stillWorks(client: Client): Promise<void> {
  client.send("still there");
  expect(await client.next()).toBe("done still there");
}

test("an instance killed with -9 leaves no ghosts after its lease; each departure is told once", async () => {
  const server = await startRedis();
  const [a, b, c] = await start(server, "a", "b", "c");
  if (a === undefined || b === undefined || c === undefined) throw new Error("not started");
  const { manager, events } = await watcher(server);
  for (const user of ["alice", "bob"]) await member(a, user, "room");
  await member(a, "both", "room");
  const stays = await member(b, "both", "room");
  expect(await manager.presence.roomUserCount("room")).toBe(3);

  const killed = performance.now();
  await a.kill();
  await until(async () => (await manager.presence.roomUserCount("room")) === 1);
  expect(performance.now() - killed).toBeLessThan(LEASE_MS + 1000);
  expect(await collect(manager.presence.online())).toEqual(["both"]);
  expect((await manager.health()).global_online_users).toBe(1);
  await until(() => departures(b.lines, c.lines, events).length >= 4);
  expect(performance.now() - killed).toBeLessThan(LEASE_MS + 1000);
  // Nothing more comes, though every instance goes on looking for the dead.
  await wait(LEASE_MS);
  expect(departures(b.lines, c.lines, events)).toEqual([
    "leave alice room",
    "leave bob room",
    "offline alice",
    "offline bob",
  ]);
  await stillWorks(stays);
});

test("an instance frozen beyond its lease is gone for the others, and back when it goes on", async () => {
  const server = await startRedis();
  const [a, b] = await start(server, "a", "b");
  if (a === undefined || b === undefined) throw new Error("not started");
  const { manager, events } = await watcher(server);
  const client = await member(a, "alice", "room");
  a.freeze();
  await until(async () => !(await manager.presence.isOnline("alice")));
  await until(() => departures(b.lines, events).length === 2);
  a.unfreeze();
  await a.printed(/online alice[\s\S]*online alice/);
  await a.printed(/join alice room[\s\S]*join alice room/);
  expect(await collect(manager.presence.roomUsers("room"))).toEqual(["alice"]);
  await stillWorks(client);
  expect(departures(a.lines, b.lines, events)).toEqual(["leave alice room", "offline alice"]);
});

test("Redis away for longer than a lease and back: nobody who stayed is told gone, no client is dropped", async () => {
  const server = await startRedis();
  const [a, b] = await start(server, "a", "b");
  if (a === undefined || b === undefined) throw new Error("not started");
  const { manager, events } = await watcher(server);
  const alice = await member(a, "alice", "room");
  const bob = await member(b, "bob", "room");

  server.stop();
  for (const one of [a, b]) await until(() => status(one) === "degraded");
  await wait(LEASE_MS * 2);
  for (const client of [alice, bob]) await stillWorks(client);
  alice.send("say room");
  expect(await alice.next()).toBe("said");
  expect(await alice.next()).toBe("done say room");
  server.cont();
  for (const one of [a, b]) await until(() => status(one) === "healthy");
  await until(() => manager.status === "healthy");
  await wait(LEASE_MS * 2);
  expect(await collect(manager.presence.roomUsers("room"))).toEqual(["alice", "bob"]);

  await server.kill();
  for (const one of [a, b]) await until(() => status(one) === "degraded");
  await until(() => manager.status === "degraded");
  expect((await manager.health()).global_online_users).toBe(0);
  await wait(LEASE_MS * 2);
  for (const client of [alice, bob]) await stillWorks(client);
  await startRedis(server.port);
  for (const one of [a, b]) await until(() => status(one) === "healthy");
  await until(() => manager.status === "healthy");
  await until(async () => (await manager.presence.roomUserCount("room")) === 2);
  expect(await collect(manager.presence.userRooms("alice"))).toEqual(["room"]);
  expect(departures(a.lines, b.lines, events)).toEqual([]);
  for (const client of [alice, bob]) await stillWorks(client);
  bob.send("say room");
  expect(await alice.next()).toBe("said");
  expect(await bob.next()).toBe("said");
});

test("FLUSHALL and SCRIPT FLUSH: presence is whole again within a heartbeat, in silence", async () => {
  const server = await startRedis();
  const [a, b] = await start(server, "a", "b");
  if (a === undefined || b === undefined) throw new Error("not started");
  const { manager, events } = await watcher(server);
  await member(a, "alice", "room");
  await member(b, "bob", "room");
  const redis = createClient({ url: server.url }) as RedisClient;
  await redis.connect();
  onDispose(() => redis.destroy());
  const before = [a, b].map(({ lines }) => lines.length);
  await redis.scriptFlush();
  await redis.flushAll();
  await until(async () => (await manager.presence.roomUserCount("room")) === 2);
  await wait(LEASE_MS);
  expect(await collect(manager.presence.online())).toEqual(["alice", "bob"]);
  expect([a, b].map(({ lines }) => lines.length)).toEqual(before);
  expect(events).toEqual([]);
});

test("whatever a user who is present does on the same instance costs Redis nothing", async () => {
  const server = await startRedis();
  const { manager, connect } = await watcher(server);
  const first = await connect("alice");
  await first.connection.join("room");
  const redis = createClient({ url: server.url }) as RedisClient;
  await redis.connect();
  onDispose(() => redis.destroy());
  await until(() => manager.presence.isOnline("alice"));
  // Heartbeats and pings go on all the while; what is done for users names them.
  const seen: string[] = [];
  const monitor = redis.duplicate();
  await monitor.connect();
  onDispose(() => monitor.destroy());
  await monitor.monitor((line) => void seen.push(String(line)));
  const second = await connect("alice");
  await second.connection.join("room");
  await second.connection.leave("room");
  await second.connection.join("room");
  const gone = new Promise((resolve) => manager.on("disconnect", resolve));
  await second.client.close();
  await gone;
  await connect("bob");
  await until(() => seen.some((line) => line.includes("bob")));
  expect(seen.filter((line) => /alice|room/.test(line))).toEqual([]);
});
