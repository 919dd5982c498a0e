import { setTimeout as wait } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { type Backplane, memoryBackplane, type PresenceChange } from "../../src/index.ts";
import { redisBackplane } from "../../src/redis.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";
import {
  type ManagerServer,
  type ManagerServerOptions,
  startManager,
} from "../support/manager-server.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

/** What makes a cluster, fresh for each test. */
const CLUSTERS: Record<string, () => Promise<Backplane>> = {
  memory: async () => memoryBackplane(),
  Redis: async () => {
    const { url, dispose } = await startRedisServer();
    onDispose(dispose);
    return redisBackplane({ url });
  },
  "Redis Cluster": async () => {
    redisCluster ??= await startRedisCluster();
    return redisBackplane({ cluster: redisCluster.urls, prefix: `test-${++uses}:` });
  },
};

/** One for all tests, since it takes seconds to start; each has a prefix of its own. */
let redisCluster: RedisCluster | undefined;
let uses = 0;
afterAll(() => redisCluster?.dispose());

/** Waits for what another instance is doing. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(5);
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

describe.each(Object.entries(CLUSTERS))("a cluster on %s", (_name, makeBackplane) => {
  /** Two managers that share a backplane: a cluster in one process. */
  async function startTwo(
    options: ManagerServerOptions = {},
  ): Promise<{ here: ManagerServer; there: ManagerServer }> {
    const backplane = await makeBackplane();
    const here = await startManager({ backplane, instanceId: "here", ...options });
    onDispose(here.dispose);
    const there = await startManager({ backplane, instanceId: "there", ...options });
    onDispose(there.dispose);
    return { here, there };
  }

  test("a user with one device here and one there gets the message on both", async () => {
    const { here, there } = await startTwo();
    const one = await here.connect("alice");
    const two = await there.connect("alice");
    await until(async () => (await there.manager.presence.get("alice")).instances.length === 2);
    expect(await here.manager.sendToUser("alice", "hi")).toEqual({
      scope: "cluster",
      localRecipients: 1,
    });
    expect(await one.client.next()).toBe("hi");
    expect(await two.client.next()).toBe("hi");
  });

  test("rooms, broadcasts, exclusions and values are the same on every instance", async () => {
    const { here, there } = await startTwo();
    const a = await here.connect("alice");
    const b = await there.connect("bob");
    await a.connection.join("room");
    await b.connection.join("room");
    const { manager } = here;
    await manager.broadcastToRoom("room", {}, { except: b.connection.id });
    await manager.broadcastToRoom("room", [], { except: { users: ["alice"] } });
    for (const value of [0, "", false, null, new Uint8Array([1])]) await manager.broadcast(value);
    expect(await a.client.next()).toBe("{}");
    expect(await b.client.next()).toBe("[]");
    for (const { client } of [a, b]) {
      for (const value of ["0", "", "false", "null", Buffer.from([1])]) {
        expect(await client.next()).toEqual(value);
      }
    }
  });

  test("each connection gets a message once, in one order everywhere, the sender's own too", async () => {
    const { here, there } = await startTwo();
    const members = [await here.connect("a"), await there.connect("b"), await there.connect("c")];
    for (const { connection } of members) await connection.join("room");
    for (let i = 0; i < 100; i++) {
      void here.manager.broadcastToRoom("room", `here ${i}`);
      void there.manager.broadcastToRoom("room", `there ${i}`);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const seen: string[][] = [];
    for (const { client } of members) {
      const messages: string[] = [];
      for (let i = 0; i < 200; i++) messages.push(String(await client.next()));
      seen.push(messages);
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(new Set(seen[0]).size).toBe(200);
  });

  test("a topic is published from anywhere, to those in the room of its name", async () => {
    const { here, there } = await startTwo();
    const { client, connection } = await there.connect("alice");
    await connection.join("performance:alerts");
    const alerts = here.manager.topic("performance:alerts");
    expect(await alerts.publish({ level: "high" })).toEqual({
      scope: "cluster",
      localRecipients: 0,
    });
    expect(await client.nextJson()).toEqual({ level: "high" });
    expect(() => here.manager.topic("{}")).toThrow(RangeError);
  });

  test("one of two devices disconnects: the user stays online and in the other's rooms", async () => {
    const { here, there } = await startTwo();
    const log: string[] = [];
    for (const { manager } of [here, there]) {
      for (const event of ["online", "offline", "join", "leave"] as const) {
        manager.on(event, ({ user }) => log.push(`${event} ${user} on ${manager.instanceId}`));
      }
    }
    const one = await here.connect("alice");
    await until(() => log.length >= 1);
    const two = await there.connect("alice");
    await one.connection.join("room");
    await until(() => log.length >= 2);
    await two.connection.join("room");
    const instances = async () => (await here.manager.presence.get("alice")).instances;
    await expect.poll(async () => (await instances()).length).toBe(2);
    await one.client.close();
    await expect.poll(async () => (await instances()).length).toBe(1);
    expect(await here.manager.presence.isOnline("alice")).toBe(true);
    expect(await collect(here.manager.presence.roomUsers("room"))).toEqual(["alice"]);
    expect(await instances()).toMatchObject([{ instance: "there" }]);
    await two.client.close();
    await until(() => log.length >= 4);
    // A room and its users may lie on different servers, which keep no order between them.
    expect(log.sort()).toEqual([
      "join alice on here",
      "leave alice on there",
      "offline alice on there",
      "online alice on here",
    ]);
    expect(await collect(here.manager.presence.online())).toEqual([]);
    expect(await collect(here.manager.presence.userRooms("alice"))).toEqual([]);
  });

  test("a connection is reached by its id from any instance", async () => {
    const { here, there } = await startTwo();
    const { client, connection } = await there.connect("alice");
    const { manager } = here;
    expect(await manager.send(connection.id, "made here")).toEqual({
      scope: "cluster",
      localRecipients: 0,
    });
    expect(await client.next()).toBe("made here");
    expect(await manager.joinRoom(connection.id, "room")).toBe(true);
    await until(async () => (await manager.presence.roomUserCount("room")) === 1);
    await manager.broadcastToRoom("room", "in the room");
    expect(await client.next()).toBe("in the room");
    expect(await manager.leaveRoom(connection.id, "room")).toBe(true);
    await until(() => connection.rooms.size === 0);
    await manager.disconnect(connection.id, { code: 4000, reason: "kicked" });
    expect(await client.closed()).toEqual({ code: 4000, reason: "kicked" });
  });

  test("an id the application chose is found on any instance, and replaced from any", async () => {
    const { here, there } = await startTwo();
    const first = await foreignSocket();
    const second = await foreignSocket();
    onDispose(first.dispose);
    onDispose(second.dispose);
    there.manager.connect(first.socket, { id: "chosen" });
    // The cluster learns of the id after `connect` has returned.
    await until(async () => {
      await here.manager.send("chosen", "from here");
      return first.client.waiting.length > 0;
    });
    expect(await first.client.next()).toBe("from here");
    here.manager.connect(second.socket, { id: "chosen" });
    expect(await first.client.closed()).toEqual({ code: 4409, reason: "replaced" });
    await there.manager.send("chosen", "from there");
    expect(await second.client.next()).toBe("from there");
    await second.client.close();
    expect(here.manager.count()).toBe(0);
    expect((await there.manager.send("chosen", "gone")).localRecipients).toBe(0);
  });

  test("a user joins a room as a user on every instance, for connections yet to come", async () => {
    const { here, there } = await startTwo();
    const one = await there.connect("alice");
    await until(() => there.manager.presence.isOnline("alice"));
    expect(await here.manager.joinRoom({ userId: "alice" }, "vip")).toBe(true);
    const two = await here.connect("alice");
    await until(() => one.connection.rooms.has("vip") && two.connection.rooms.has("vip"));
    for (const { manager } of [here, there]) {
      await until(async () => (await collect(manager.presence.roomUsers("vip"))).length === 1);
    }
    await here.manager.broadcastToRoom("vip", "hi");
    expect(await one.client.next()).toBe("hi");
    expect(await two.client.next()).toBe("hi");
    expect(await collect(here.manager.presence.roomUsers("vip"))).toEqual(["alice"]);
    expect(await here.manager.leaveRoom({ userId: "alice" }, "vip")).toBe(true);
    await until(() => one.connection.rooms.size + two.connection.rooms.size === 0);
  });

  test("a user who comes and goes while others bring them into rooms ends up where all agree", async () => {
    const { here, there } = await startTwo();
    await here.connect("alice");
    await until(() => here.manager.presence.isOnline("alice"));
    for (let round = 0; round < 10; round++) {
      const target = { userId: "alice" };
      const room = `room ${round}`;
      await here.manager.joinRoom(target, room);
      // The second device gets the rooms from the store, while they change.
      const [two] = await Promise.all([
        there.connect("alice"),
        here.manager.leaveRoom(target, room),
        there.manager.joinRoom(target, "other"),
        here.manager.leaveRoom(target, "other"),
      ]);
      await until(async () => (await there.manager.presence.get("alice")).instances.length === 2);
      const rooms = async (): Promise<string[]> =>
        collect(there.manager.presence.userRooms("alice"));
      // What was asked for at the same time may have ended either way, but it is the same for all.
      await here.manager.joinRoom(target, "last");
      await until(async () => (await rooms()).includes("last"));
      await until(() => two.connection.rooms.has("last"));
      const [one] = here.manager.userConnections("alice");
      const sorted = (names: Iterable<string> = []): string => [...names].sort().join();
      await until(() => sorted(two.connection.rooms) === sorted(one?.rooms));
      expect(two.connection.rooms.has(room)).toBe(false);
      await here.manager.leaveRoom(target, "last");
      await here.manager.leaveRoom(target, "other");
      await until(() => two.connection.rooms.size === 0);
      await two.client.close();
      await until(async () => (await there.manager.presence.get("alice")).instances.length === 1);
    }
  });

  test("disconnectUser closes every connection of the user", async () => {
    const { here, there } = await startTwo({ offlineGraceMs: 60_000 });
    const one = await here.connect("alice");
    const two = await there.connect("alice");
    const bob = await there.connect("bob");
    await until(async () => (await there.manager.presence.get("alice")).instances.length === 2);
    await here.manager.disconnectUser("alice", { code: 4401, reason: "revoked" });
    expect(await one.client.closed()).toEqual({ code: 4401, reason: "revoked" });
    expect(await two.client.closed()).toEqual({ code: 4401, reason: "revoked" });
    expect(await there.manager.presence.isOnline("alice")).toBe(false);
    expect(bob.connection.state).toBe("open");
  });

  test("an instance that stops takes its users with it and nobody else's", async () => {
    const { here, there } = await startTwo();
    await here.connect("alice");
    await here.connect("bob");
    const staying = await there.connect("bob");
    await staying.connection.join("room");
    await here.manager.stop();
    expect(await collect(there.manager.presence.online())).toEqual(["bob"]);
    await there.manager.broadcastToRoom("room", "still here");
    expect(await staying.client.next()).toBe("still here");
    expect((await there.manager.health()).global_online_users).toBe(1);
  });

  test("who is back on another instance within the grace is never told gone; who is not is told gone once", async () => {
    const { here, there } = await startTwo({
      offlineGraceMs: 2000,
      rooms: { "*": { announce: true } },
    });
    const log: string[] = [];
    for (const { manager } of [here, there]) {
      for (const event of ["online", "offline", "join", "leave"] as const) {
        manager.on(event, ({ user }) => log.push(`${event} ${user} on ${manager.instanceId}`));
      }
    }
    const watcher = await there.connect("watcher");
    await watcher.connection.join("room");
    for (const user of ["alice", "bob"]) await (await here.connect(user)).connection.join("room");
    const { presence } = there.manager;
    await until(() => log.length === 6);
    log.length = 0;
    await here.manager.stop();
    const stopped = performance.now();
    expect(await collect(presence.online())).toEqual(["alice", "bob", "watcher"]);
    expect(await collect(presence.roomUsers("room"))).toEqual(["alice", "bob", "watcher"]);
    const alice = await there.connect("alice");
    await alice.connection.join("room");
    await until(() => log.length >= 2);
    expect(log.sort()).toEqual(["leave bob on there", "offline bob on there"]);
    // Soon after the grace, though heartbeats are seconds apart.
    expect(performance.now() - stopped).toBeLessThan(4000);
    expect(await collect(presence.online())).toEqual(["alice", "watcher"]);
    // Now that nobody else holds her, she goes as anybody does.
    await alice.client.close();
    await until(() => log.length >= 4);
    expect(log.slice(2).sort()).toEqual(["leave alice on there", "offline alice on there"]);
    const heard: unknown[] = [];
    while (heard.length < 5) heard.push(await watcher.client.nextJson());
    expect(heard).toEqual([
      ...["watcher", "alice", "bob"].map((user) => ({
        type: "user_joined",
        user_id: user,
        room: "room",
      })),
      ...["bob", "alice"].map((user) => ({ type: "user_left", user_id: user, room: "room" })),
    ]);
  });

  test("an instance that stops has its rooms told who left with it", async () => {
    const { here, there } = await startTwo({ rooms: { "*": { announce: true } } });
    const watcher = await there.connect("watcher");
    const leaving = await here.connect("alice");
    await watcher.connection.join("room");
    await leaving.connection.join("room");
    await here.manager.stop();
    expect(await watcher.client.nextOfType("user_left")).toEqual({
      type: "user_left",
      user_id: "alice",
      room: "room",
    });
  });

  test("a room tells who comes and goes, once for each user in the cluster, where its policy says so", async () => {
    const { here, there } = await startTwo({ rooms: { "chat:*": { announce: true } } });
    const watcher = await here.connect("watcher");
    await watcher.connection.join("chat:1");
    await watcher.connection.join("quiet");
    const one = await here.connect("alice");
    const two = await there.connect("alice");
    for (const { connection } of [one, two]) {
      await connection.join("chat:1");
      await connection.join("quiet");
    }
    // Announcements go out in the turn after the change, so they may cross with what is said at once.
    const seen = [await watcher.client.nextJson(), await watcher.client.nextJson()];
    await one.connection.leave("chat:1");
    await two.connection.leave("chat:1");
    seen.push(await watcher.client.nextJson());
    for (const { manager } of [here, there]) await manager.broadcastToRoom("chat:1", "end");
    expect(seen).toEqual([
      { type: "user_joined", user_id: "watcher", room: "chat:1" },
      { type: "user_joined", user_id: "alice", room: "chat:1" },
      { type: "user_left", user_id: "alice", room: "chat:1" },
    ]);
    expect([await watcher.client.next(), await watcher.client.next()]).toEqual(["end", "end"]);
    expect(await one.client.nextJson()).toEqual({
      type: "user_joined",
      user_id: "alice",
      room: "chat:1",
    });
  });

  test("a watch begins with who is there, and goes on with who comes and goes on any instance", async () => {
    const { here, there } = await startTwo();
    const alice = await here.connect("alice");
    await alice.connection.join("room");
    const room = there.manager.presence.watch("room");
    const everyone = there.manager.presence.watch();
    const next = async (watch: AsyncIterator<PresenceChange>): Promise<unknown> =>
      (await watch.next()).value;
    expect(await next(room)).toEqual({ type: "snapshot", users: ["alice"] });
    expect(await next(everyone)).toEqual({ type: "snapshot", users: ["alice"] });
    const bob = await here.connect("bob");
    expect(await next(everyone)).toEqual({ type: "online", user: "bob" });
    await bob.connection.join("room");
    expect(await next(room)).toEqual({ type: "join", user: "bob", room: "room" });
    // A second device changes nothing.
    const again = await there.connect("bob");
    await again.connection.join("room");
    await alice.client.close();
    expect(await next(room)).toEqual({ type: "leave", user: "alice", room: "room" });
    expect(await next(everyone)).toEqual({ type: "offline", user: "alice" });
    await room.return?.();
    expect(await room.next()).toEqual({ done: true, value: undefined });
    const waiting = everyone.next();
    await there.manager.stop();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test("who reads a watch slowly is told what is true by then, not every step", async () => {
    const { here, there } = await startTwo();
    const watch = there.manager.presence.watch("room");
    expect((await watch.next()).value).toEqual({ type: "snapshot", users: [] });
    const { connection } = await here.connect("alice");
    const bob = await here.connect("bob");
    for (let i = 0; i < 10; i++) {
      await connection.join("room");
      await connection.leave("room");
    }
    await bob.connection.join("room");
    const change = (await watch.next()).value;
    // Each step may be read while it is true, but none of old.
    if (change?.type === "snapshot" || change?.user === "alice") {
      await until(async () => (await watch.next()).value?.user === "bob");
    } else expect(change).toEqual({ type: "join", user: "bob", room: "room" });
    await watch.return?.();
    await expect(there.manager.presence.watch("{").next()).rejects.toThrow(RangeError);
  });
});
