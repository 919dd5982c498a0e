import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Backplane, memoryBackplane } from "../../src/index.ts";
import { redisBackplane } from "../../src/redis.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();
const LEASE_MS = 3000;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(5);
}

async function start(instanceId: string, backplane: Backplane): Promise<ManagerServer> {
  const server = await startManager({ backplane, instanceId });
  onDispose(server.dispose);
  return server;
}

const BACKPLANES: Record<string, () => Promise<() => Backplane>> = {
  memory: async () => {
    const backplane = memoryBackplane();
    return () => backplane;
  },
  Redis: async () => {
    const { url, dispose } = await startRedisServer();
    onDispose(dispose);
    return () => redisBackplane({ url });
  },
};

describe.each(Object.entries(BACKPLANES))("orders on %s", (_name, make) => {
  async function startThree(): Promise<[ManagerServer, ManagerServer, ManagerServer]> {
    const backplane = await make();
    return [
      await start("one", backplane()),
      await start("two", backplane()),
      await start("three", backplane()),
    ];
  }

  test("who was brought into a room as a user gets what is sent there right after, wherever they are", async () => {
    const [one, two, three] = await startThree();
    const players = [];
    for (let i = 0; i < 20; i++) {
      const server = i % 2 === 0 ? two : three;
      players.push((await server.connect(`player ${i}`)).client);
      await until(() => one.manager.presence.isOnline(`player ${i}`));
    }
    const both = await one.connect("player 0");
    const joined = await Promise.all(
      players.map((_, i) => one.manager.joinRoom({ userId: `player ${i}` }, "game")),
    );
    expect(joined).toEqual(players.map(() => true));
    await one.manager.broadcastToRoom("game", "begin");
    for (const client of [...players, both.client]) expect(await client.next()).toBe("begin");
    // It tells whether it changed anything, from whatever instance it is asked.
    for (const { manager } of [one, two, three]) {
      expect(await manager.joinRoom({ userId: "player 0" }, "game")).toBe(false);
    }
    expect(await three.manager.leaveRoom({ userId: "player 0" }, "game")).toBe(true);
    expect(both.connection.rooms.size).toBe(0);
    for (const { manager } of [one, two, three]) {
      expect(await manager.leaveRoom({ userId: "player 0" }, "game")).toBe(false);
      expect(await manager.joinRoom({ userId: "nobody" }, "game")).toBe(false);
    }
  });

  test("a connection is brought into a room, and out of it, on another instance by the time that is answered", async () => {
    const [one, two] = await startThree();
    const { client, connection } = await two.connect("alice");
    const { manager } = one;
    for (let round = 0; round < 10; round++) {
      const room = `room ${round}`;
      expect(await manager.joinRoom(connection.id, room)).toBe(true);
      expect(connection.rooms.has(room)).toBe(true);
      expect(await manager.joinRoom(connection.id, room)).toBe(false);
      await manager.broadcastToRoom(room, room);
      expect(await client.next()).toBe(room);
      expect(await manager.leaveRoom(connection.id, room)).toBe(true);
      expect(connection.rooms.has(room)).toBe(false);
      expect(await manager.leaveRoom(connection.id, room)).toBe(false);
    }
    const began = performance.now();
    expect(await manager.joinRoom("~two~nobody", "room")).toBe(false);
    expect(await manager.joinRoom("~gone~nobody", "room")).toBe(false);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test("a user who has just connected elsewhere is brought into a room, and told to go, as any other", async () => {
    const [one, two, three] = await startThree();
    for (let round = 0; round < 30; round++) {
      const user = `user ${round}`;
      const { client, connection } = await two.connect(user);
      expect([round, await one.manager.joinRoom({ userId: user }, "game")]).toEqual([round, true]);
      expect(connection.rooms.has("game")).toBe(true);
      await three.manager.broadcastToRoom("game", user);
      expect(await client.next()).toBe(user);
      const again = await two.connect(user);
      const { scope } = await one.manager.disconnectUser(user);
      expect(scope).toBe("cluster");
      await Promise.all([client.closed(), again.client.closed()]);
      expect(await three.manager.presence.isOnline(user)).toBe(false);
      const last = await two.connect(user);
      expect(await three.manager.disconnectUser(user)).toEqual({
        scope: "cluster",
        connections: 1,
      });
      await last.client.closed();
    }
  });

  test("a user is brought into a room while they are being connected: that changes something, once", async () => {
    const [one] = await startThree();
    const answers: Promise<boolean>[] = [];
    one.manager.on("connect", ({ userId = "" }) => {
      answers.push(one.manager.joinRoom({ userId }, "lobby"));
      answers.push(one.manager.joinRoom({ userId }, "lobby"));
    });
    for (let i = 0; i < 10; i++) await one.connect(`user ${i}`);
    const changed = await Promise.all(answers);
    expect(changed.filter(Boolean)).toHaveLength(10);
    expect(one.manager.count({ room: "lobby" })).toBe(10);
  });

  test("many orders for one user and room at the same time are all answered at once, whatever their order", async () => {
    const [one, two] = await startThree();
    await two.connect("alice");
    await until(() => one.manager.presence.isOnline("alice"));
    const began = performance.now();
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        [one, two, one, two].flatMap(({ manager }) => [
          manager.joinRoom({ userId: "alice" }, "game"),
          manager.leaveRoom({ userId: "alice" }, "game"),
        ]),
      );
    }
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test("disconnecting says how many connections were closed, on whatever instances", async () => {
    const [one, two, three] = await startThree();
    const here = await one.connect("alice");
    const there = await two.connect("alice");
    const bob = await three.connect("bob");
    await until(async () => (await one.manager.presence.get("alice")).instances.length === 2);
    const { manager } = three;
    expect(await manager.disconnectUser("alice")).toEqual({ scope: "cluster", connections: 2 });
    await Promise.all([here.client.closed(), there.client.closed()]);
    expect(await manager.presence.isOnline("alice")).toBe(false);
    expect(await manager.disconnectUser("alice")).toEqual({ scope: "cluster", connections: 0 });
    expect(await one.manager.disconnect(bob.connection.id)).toEqual({
      scope: "cluster",
      connections: 1,
    });
    expect(await one.manager.disconnect(bob.connection.id)).toEqual({
      scope: "cluster",
      connections: 0,
    });
  });
});

describe("orders to disconnect while Redis is not to be reached", () => {
  async function startTwo(): Promise<{
    here: ManagerServer;
    there: ManagerServer;
    ways: { here: TcpProxy; there: TcpProxy };
  }> {
    const redis = await startRedisServer();
    onDispose(redis.dispose);
    const way = async (): Promise<TcpProxy> => {
      const proxy = await startTcpProxy(redis.port);
      onDispose(proxy.dispose);
      return proxy;
    };
    const ways = { here: await way(), there: await way() };
    const over = ({ port }: TcpProxy): Backplane =>
      redisBackplane({ url: `redis://127.0.0.1:${port}`, leaseMs: LEASE_MS });
    const here = await start("here", over(ways.here));
    const there = await start("there", over(ways.there));
    return { here, there, ways };
  }

  const DISTURBANCES = {
    "is cut off": (way: TcpProxy) => way.cut(),
    "hears nothing": (way: TcpProxy) => way.hold(),
  };

  test.each(Object.entries(DISTURBANCES))(
    "an instance that %s closes the connections when it is back",
    async (_name, disturb) => {
      const { here, there, ways } = await startTwo();
      const { manager } = here;
      const alice = await there.connect("alice");
      const bob = await there.connect("bob");
      for (const user of ["alice", "bob"]) await until(() => manager.presence.isOnline(user));
      disturb(ways.there);
      const began = performance.now();
      const results = await Promise.all([
        manager.disconnectUser("alice", { code: 4401, reason: "revoked" }),
        manager.disconnect(bob.connection.id, { code: 4402, reason: "kicked" }),
      ]);
      expect(performance.now() - began).toBeLessThan(2700);
      for (const result of results) expect(result).toEqual({ scope: "unknown", connections: 0 });
      await wait(600);
      ways.there.restore();
      expect(await alice.client.closed()).toEqual({ code: 4401, reason: "revoked" });
      expect(await bob.client.closed()).toEqual({ code: 4402, reason: "kicked" });
    },
  );

  test("an instance that is cut off itself closes its own, and sees to the others afterwards", async () => {
    const { here, there, ways } = await startTwo();
    const { manager } = here;
    const mine = await here.connect("alice");
    const other = await there.connect("alice");
    await until(async () => (await manager.presence.get("alice")).instances.length === 2);
    ways.here.cut();
    await until(() => manager.status === "degraded");
    expect(await manager.disconnectUser("alice", { code: 4401, reason: "revoked" })).toEqual({
      scope: "instance",
      connections: 1,
    });
    expect(await mine.client.closed()).toEqual({ code: 4401, reason: "revoked" });
    await wait(600);
    // Who comes back after the order is not meant.
    const back = await there.connect("alice");
    ways.here.restore();
    expect(await other.client.closed()).toEqual({ code: 4401, reason: "revoked" });
    await until(() => manager.status === "healthy");
    await wait(1500);
    expect(back.connection.state).toBe("open");
  });

  test("nobody is waited for whose time is over", async () => {
    const { here, there, ways } = await startTwo();
    const { connection } = await there.connect("alice");
    await until(() => here.manager.presence.isOnline("alice"));
    ways.there.cut();
    await until(async () => !(await here.manager.presence.isOnline("alice")));
    const began = performance.now();
    const done = { scope: "cluster", connections: 0 };
    expect(await here.manager.disconnectUser("alice")).toEqual(done);
    expect(await here.manager.disconnect(connection.id)).toEqual(done);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test("a room is joined by those who are there, in time, while another instance does not answer", async () => {
    const { here, there, ways } = await startTwo();
    const mine = await here.connect("alice");
    await there.connect("alice");
    await until(async () => (await here.manager.presence.get("alice")).instances.length === 2);
    ways.there.hold();
    const began = performance.now();
    expect(await here.manager.joinRoom({ userId: "alice" }, "game")).toBe(true);
    expect(performance.now() - began).toBeLessThan(2700);
    await here.manager.broadcastToRoom("game", "begin");
    expect(await mine.client.next()).toBe("begin");
  });
});
