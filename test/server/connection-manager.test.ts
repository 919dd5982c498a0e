import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { type Backplane, memoryBackplane } from "../../src/index.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import type { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { foreignSocket } from "../support/foreign-socket.ts";
import {
  type ManagerServer,
  type ManagerServerOptions,
  startManager,
} from "../support/manager-server.ts";

const onDispose = useDisposals();

async function start(options: ManagerServerOptions = {}): Promise<ManagerServer> {
  const started = await startManager(options);
  onDispose(started.dispose);
  return started;
}

/** Whoever has received the marker has received everything that was sent to them before it. */
const MARKER = "marker";

async function untilMarker(client: Client): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  for (let message = await client.next(); message !== MARKER; message = await client.next()) {
    messages.push(message);
  }
  return messages;
}

describe("sending", () => {
  test("reaches one connection, one user's devices, one room, or everyone", async () => {
    const { manager, connect } = await start();
    const phone = await connect("alice");
    const laptop = await connect("alice");
    const bob = await connect("bob");
    const nobody = await connect();
    await bob.connection.join("den");
    await nobody.connection.join("den");

    expect(await manager.send(phone.connection.id, "to the phone")).toEqual({
      scope: "cluster",
      localRecipients: 1,
    });
    expect((await manager.sendToUser("alice", "to alice")).localRecipients).toBe(2);
    expect((await manager.broadcastToRoom("den", "to the den")).localRecipients).toBe(2);
    expect((await manager.broadcast(MARKER)).localRecipients).toBe(4);

    expect(await untilMarker(phone.client)).toEqual(["to the phone", "to alice"]);
    expect(await untilMarker(laptop.client)).toEqual(["to alice"]);
    expect(await untilMarker(bob.client)).toEqual(["to the den"]);
    expect(await untilMarker(nobody.client)).toEqual(["to the den"]);
  });

  test("room A's message never reaches room B's members", async () => {
    const { manager, connect } = await start();
    const a = await connect("a");
    const b = await connect("b");
    await a.connection.join("A");
    await b.connection.join("B");
    await manager.broadcastToRoom("A", "for A");
    await manager.broadcastToRoom("B", "for B");
    await manager.broadcast(MARKER);
    expect(await untilMarker(a.client)).toEqual(["for A"]);
    expect(await untilMarker(b.client)).toEqual(["for B"]);
  });

  test("leaves out a connection, ids, or users", async () => {
    const { manager, connect } = await start();
    const a1 = await connect("alice");
    const a2 = await connect("alice");
    const b = await connect("bob");
    for (const { connection } of [a1, a2, b]) await connection.join("room");
    const sizes = [
      await manager.broadcastToRoom("room", "not a1", { except: a1.connection }),
      await manager.broadcastToRoom("room", "not a1, a2", {
        except: [a1.connection.id, a2.connection],
      }),
      await manager.broadcast("not alice", { except: { users: ["alice", "nobody"] } }),
      await manager.sendToUser("alice", "not a2", { except: a2.connection.id }),
      await manager.broadcastToRoom("room", "a stranger is left out", { except: "stranger" }),
    ];
    expect(sizes.map(({ localRecipients }) => localRecipients)).toEqual([2, 1, 1, 1, 3]);
    await manager.broadcast(MARKER);
    expect(await untilMarker(a1.client)).toEqual(["not a2", "a stranger is left out"]);
    expect(await untilMarker(a2.client)).toEqual(["not a1", "a stranger is left out"]);
    expect(await untilMarker(b.client)).toEqual([
      "not a1",
      "not a1, a2",
      "not alice",
      "a stranger is left out",
    ]);
  });

  test.each([
    ["", ""],
    ["text", "text"],
    [0, "0"],
    [false, "false"],
    [null, "null"],
    [[], "[]"],
    [{}, "{}"],
    [{ a: 1 }, '{"a":1}'],
    [new Uint8Array(), Buffer.alloc(0)],
    [new Uint8Array([1, 2]), Buffer.from([1, 2])],
    ["x".repeat(125), "x".repeat(125)],
    ["x".repeat(126), "x".repeat(126)],
    ["x".repeat(65_535), "x".repeat(65_535)],
    ["x".repeat(65_536), "x".repeat(65_536)],
    [Buffer.alloc(100_000, 7), Buffer.alloc(100_000, 7)],
  ])("carries its value unchanged (%#)", async (message, expected) => {
    const { manager, connect } = await start();
    const { client } = await connect("alice");
    await manager.broadcast(message);
    expect(await client.next()).toEqual(expected);
  });

  test("keeps the order of messages of every kind to one connection", async () => {
    const { manager, connect } = await start();
    const { client, connection } = await connect("alice");
    await connection.join("room");
    const expected: string[] = [];
    for (let i = 0; i < 200; i++) {
      const message = `message ${i}`;
      expected.push(message);
      const sends = [
        () => connection.send(message),
        () => manager.broadcast(message),
        () => manager.broadcastToRoom("room", message),
        () => manager.sendToUser("alice", message),
      ];
      // Not awaited: the order is that of the calls.
      void sends[i % sends.length]?.();
      if (i % 17 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    void connection.send(MARKER);
    expect(await untilMarker(client)).toEqual(expected);
  });

  test("what cannot be encoded is a TypeError before anybody is sent anything, and ends nothing", async () => {
    const { manager, connect } = await start();
    const { client, connection } = await connect("alice");
    const stages: string[] = [];
    manager.on("error", (_error, { stage }) => stages.push(stage));
    await expect(manager.broadcast(undefined)).rejects.toThrow(TypeError);
    await expect(manager.broadcastToRoom("room", 1n)).rejects.toThrow(TypeError);
    await expect(manager.sendToUser("alice", () => {})).rejects.toThrow(TypeError);
    await expect(connection.send(Symbol("x"))).rejects.toThrow(TypeError);
    // Nobody awaits this one: it reaches the error event instead of ending the process.
    void manager.broadcast(undefined);
    await manager.broadcast(MARKER);
    expect(await untilMarker(client)).toEqual([]);
    expect(stages.length).toBeGreaterThanOrEqual(4);
  });

  test("to somebody unknown reaches nobody and says so", async () => {
    const { manager } = await start();
    const none = { scope: "cluster", localRecipients: 0 };
    expect(await manager.send("nobody", "x")).toEqual(none);
    expect(await manager.sendToUser("nobody", "x")).toEqual(none);
    expect(await manager.broadcastToRoom("nowhere", "x")).toEqual(none);
    expect(await manager.broadcast("x")).toEqual(none);
  });

  test.each([
    ["a name that is empty", "", RangeError],
    ["a name with a brace", "{x}", RangeError],
    ["a name that is no string", 7, TypeError],
  ])("to %s is an error", async (_what, name, kind) => {
    const { manager } = await start();
    const room = name as string;
    await expect(manager.broadcastToRoom(room, "x")).rejects.toThrow(kind);
    await expect(manager.sendToUser(room, "x")).rejects.toThrow(kind);
    await expect(manager.joinRoom({ userId: "u" }, room)).rejects.toThrow(kind);
  });

  test("a wrong except is a TypeError that names it", async () => {
    const { manager } = await start();
    for (const except of [5, [5], { users: "alice" }, { users: [5] }] as never[]) {
      await expect(manager.broadcast("x", { except })).rejects.toThrow(/except/);
    }
  });
});

describe("rooms", () => {
  test("joining and leaving say whether they changed anything", async () => {
    const { manager, connect } = await start();
    const { connection } = await connect("alice");
    expect(await manager.joinRoom(connection, "room")).toBe(true);
    expect(await manager.joinRoom(connection.id, "room")).toBe(false);
    expect([...connection.rooms]).toEqual(["room"]);
    expect(await connection.leave("room")).toBe(true);
    expect(await connection.leave("room")).toBe(false);
    expect(await manager.joinRoom("nobody", "room")).toBe(false);
    expect(manager.activeRooms).toEqual([]);
  });

  test("a user joins with all connections, present and future, until they leave", async () => {
    const { manager, connect } = await start();
    const first = await connect("alice");
    expect(await manager.joinRoom({ userId: "alice" }, "vip")).toBe(true);
    expect(await manager.joinRoom({ userId: "alice" }, "vip")).toBe(false);
    const second = await connect("alice");
    expect(manager.roomMembers("vip")).toHaveLength(2);
    await manager.broadcastToRoom("vip", MARKER);
    await untilMarker(first.client);
    await untilMarker(second.client);
    expect(await manager.leaveRoom({ userId: "alice" }, "vip")).toBe(true);
    expect(await manager.leaveRoom({ userId: "alice" }, "vip")).toBe(false);
    await connect("alice");
    expect(manager.roomMembers("vip")).toEqual([]);
  });

  test("what a user joined as a user ends when they go offline", async () => {
    const { manager, connect } = await start();
    const { client } = await connect("alice");
    await manager.joinRoom({ userId: "alice" }, "vip");
    const gone = new Promise((resolve) => manager.on("offline", resolve));
    await client.close();
    await gone;
    await connect("alice");
    expect(manager.roomMembers("vip")).toEqual([]);
    expect(await manager.joinRoom({ userId: "bob" }, "vip")).toBe(false);
  });

  test("a connection may be in so many rooms and no more", async () => {
    const { connect } = await start({ limits: { maxRoomsPerConnection: 2 } });
    const { connection } = await connect("alice");
    await connection.join("a");
    await connection.join("b");
    await expect(connection.join("c")).rejects.toThrow(RangeError);
    expect(await connection.join("b")).toBe(false);
    await connection.leave("a");
    expect(await connection.join("c")).toBe(true);
  });

  test("joining before the start works, and so does a second room", async () => {
    const { manager, connect } = await start({ start: false });
    const { client, connection } = await connect("alice");
    await connection.join("a");
    await manager.joinRoom({ userId: "alice" }, "b");
    expect(await manager.broadcastToRoom("a", "early")).toEqual({
      scope: "instance",
      localRecipients: 1,
    });
    await manager.start();
    await manager.broadcastToRoom("a", "in a");
    await manager.broadcastToRoom("b", "in b");
    await manager.broadcast(MARKER);
    expect(await untilMarker(client)).toEqual(["early", "in a", "in b"]);
    expect(await manager.presence.isOnline("alice")).toBe(true);
    expect(await manager.presence.roomUserCount("a")).toBe(1);
    const second = await connect("alice");
    expect(second.connection.rooms.has("b")).toBe(true);
  });

  test("an emptied room or user leaves nothing behind", async () => {
    const { manager, connect } = await start();
    const { client, connection } = await connect("alice");
    await connection.join("room");
    await client.close();
    expect(manager.activeRooms).toEqual([]);
    expect(manager.activeUsers).toEqual([]);
    expect(manager.stats()).toEqual({ connections: 0, users: [], rooms: 0 });
    expect(await manager.presence.roomUserCount("room")).toBe(0);
  });
});

describe("listing", () => {
  test("tells who is here, by connection, user and room", async () => {
    const { manager, connect } = await start();
    const a1 = await connect("alice");
    const a2 = await connect("alice");
    const b = await connect("bob");
    const x = await connect();
    for (const { connection } of [a1, a2, x]) await connection.join("room");
    expect(manager.connectionCount).toBe(4);
    expect(manager.connections()).toHaveLength(4);
    expect(manager.activeUsers.sort()).toEqual(["alice", "bob"]);
    expect(manager.activeRooms).toEqual(["room"]);
    expect(manager.roomCount).toBe(1);
    expect(manager.roomMembers("room")).toEqual([a1.connection, a2.connection, x.connection]);
    expect(manager.roomUsers("room")).toEqual(["alice"]);
    expect(manager.userConnections("alice")).toEqual([a1.connection, a2.connection]);
    expect(manager.isUserConnected("bob")).toBe(true);
    expect(manager.isUserConnected("carol")).toBe(false);
    expect(manager.count()).toBe(4);
    expect(manager.count({ room: "room" })).toBe(3);
    expect(manager.count({ user: "alice" })).toBe(2);
    expect(manager.count({ user: "carol" })).toBe(0);
    expect(manager.count({ room: "nowhere" })).toBe(0);
    expect(manager.roomMembers("nowhere")).toEqual([]);
    expect(b.connection.userId).toBe("bob");
    expect(await manager.health()).toEqual({
      status: "healthy",
      instance_id: manager.instanceId,
      local_connections: 4,
      local_users: 2,
      local_rooms: 1,
      global_online_users: 2,
      redis_connected: false,
    });
  });
});

describe("events", () => {
  test("tell of every connection once, to every listener, with the reason of the end", async () => {
    const { manager, connect } = await start();
    const log: unknown[] = [];
    manager.on("connect", ({ userId }) => log.push(["connect", userId]));
    manager.on("connect", () => log.push("second listener"));
    const stop = manager.on("disconnect", ({ userId }, info) => log.push([userId, info]));
    const { client, connection } = await connect("alice");
    const disconnected = new Promise((resolve) => manager.on("disconnect", resolve));
    await Promise.all([
      manager.disconnect(connection, { code: 4000, reason: "bye" }),
      manager.disconnect(connection.id),
    ]);
    connection.close();
    expect(await client.closed()).toEqual({ code: 4000, reason: "bye" });
    await disconnected;
    await manager.disconnect(connection);
    stop();
    const other = await connect("bob");
    await other.client.close();
    expect(log).toEqual([
      ["connect", "alice"],
      "second listener",
      ["alice", { code: 4000, reason: "bye" }],
      ["connect", "bob"],
      "second listener",
    ]);
  });

  test("a listener that throws or rejects harms nobody and is told to the error event", async () => {
    const { manager, connect } = await start();
    const errors: unknown[] = [];
    manager.on("connect", () => {
      throw new Error("thrown");
    });
    manager.on("connect", async () => {
      throw new Error("rejected");
    });
    manager.on("error", (error, { stage }) => {
      errors.push([String(error), stage]);
      throw new Error("even this one");
    });
    const { client } = await connect("alice");
    await manager.broadcast(MARKER);
    await untilMarker(client);
    expect(errors).toEqual([
      ["Error: thrown", "listener:connect"],
      ["Error: rejected", "listener:connect"],
    ]);
  });

  test("presence: one online and one join for a user, however many devices, and one of each end", async () => {
    const { manager, connect } = await start();
    const log: string[] = [];
    manager.on("online", ({ user }) => log.push(`online ${user}`));
    manager.on("offline", ({ user }) => log.push(`offline ${user}`));
    manager.on("join", ({ user, room }) => log.push(`join ${user} ${room}`));
    manager.on("leave", ({ user, room }) => log.push(`leave ${user} ${room}`));
    const one = await connect("alice");
    const two = await connect("alice");
    await one.connection.join("room");
    await two.connection.join("room");
    await one.client.close();
    expect(log).toEqual(["online alice", "join alice room"]);
    const offline = new Promise((resolve) => manager.on("offline", resolve));
    await two.client.close();
    await offline;
    expect(log).toEqual(["online alice", "join alice room", "leave alice room", "offline alice"]);
  });

  test("a user who drops and returns within the grace never left", async () => {
    const { manager, connect } = await start({ offlineGraceMs: 60_000 });
    const log: string[] = [];
    manager.on("leave", ({ user }) => log.push(`leave ${user}`));
    manager.on("offline", ({ user }) => log.push(`offline ${user}`));
    const first = await connect("alice");
    await first.connection.join("room");
    await manager.joinRoom({ userId: "alice" }, "vip");
    const disconnected = new Promise((resolve) => manager.on("disconnect", resolve));
    first.client.socket.terminate();
    await disconnected;
    expect(manager.isUserConnected("alice")).toBe(false);
    expect(await manager.presence.isOnline("alice")).toBe(true);
    const second = await connect("alice");
    expect([...second.connection.rooms]).toEqual(["vip"]);
    expect(log).toEqual([]);
    // Kicked: no grace for what is still held.
    const offline = new Promise((resolve) => manager.on("offline", resolve));
    await manager.disconnectUser("alice", { code: 4401 });
    expect(await second.client.closed()).toEqual({ code: 4401, reason: "" });
    await offline;
    expect(log.sort()).toEqual(["leave alice", "leave alice", "offline alice"]);
  });

  test("a user who drops is gone when the grace is over", async () => {
    const { manager, connect } = await start({ offlineGraceMs: 50 });
    const { client, connection } = await connect("alice");
    await connection.join("room");
    const left = new Promise((resolve) => manager.on("leave", resolve));
    const offline = new Promise((resolve) => manager.on("offline", resolve));
    client.socket.terminate();
    expect(await left).toEqual({ user: "alice", room: "room" });
    expect(await offline).toEqual({ user: "alice" });
    expect(await manager.presence.isOnline("alice")).toBe(false);
  });
});

describe("connect", () => {
  async function foreign(): ReturnType<typeof foreignSocket> {
    const made = await foreignSocket();
    onDispose(made.dispose);
    return made;
  }

  test("takes a ws socket of the application's own, with rooms, user, metadata and id", async () => {
    const { manager } = await start();
    const { socket, client } = await foreign();
    const metadata = { device: "phone" };
    const connection = manager.connect(socket, {
      id: "chosen",
      userId: "alice",
      rooms: ["a", "b"],
      metadata,
    });
    expect(connection).toMatchObject({ id: "chosen", userId: "alice", metadata, state: "open" });
    expect([...connection.rooms]).toEqual(["a", "b"]);
    expect(connection.connectedAt).toBeLessThanOrEqual(Date.now());
    expect(await manager.presence.get("alice")).toEqual({
      online: true,
      instances: [{ instance: manager.instanceId, connectedAt: connection.connectedAt, metadata }],
    });
    await manager.broadcastToRoom("a", "one");
    await manager.broadcastToRoom("b", new Uint8Array([2]));
    await manager.broadcast("not you", { except: "chosen" });
    await manager.send("chosen", "three");
    expect(await client.next()).toBe("one");
    expect(await client.next()).toEqual(Buffer.from([2]));
    expect(await client.next()).toBe("three");
    client.send("hello");
    for await (const message of connection) {
      expect(message).toBe("hello");
      break;
    }
    await client.close(4001);
    expect(manager.connectionCount).toBe(0);
    expect(manager.activeRooms).toEqual([]);
  });

  test("does not stop a socket whose messages the application reads itself", async () => {
    const { manager } = await start();
    const { socket, client } = await foreign();
    let received = 0;
    const all = new Promise<void>((resolve) => {
      socket.on("message", () => {
        received++;
        if (received === 1000) resolve();
      });
    });
    manager.connect(socket);
    for (let i = 0; i < 1000; i++) client.send("x");
    await all;
  });

  test("replaces the holder of an id that is in use", async () => {
    const { manager } = await start();
    const first = await foreign();
    const second = await foreign();
    manager.connect(first.socket, { id: "same", userId: "alice" });
    const connection = manager.connect(second.socket, { id: "same", userId: "alice" });
    expect(await first.client.closed()).toEqual({ code: 4409, reason: "replaced" });
    expect(manager.connections()).toEqual([connection]);
    await manager.send("same", "for the second");
    expect(await second.client.next()).toBe("for the second");
  });

  test("a dead socket does not stay registered nor cost the others the message", async () => {
    const { manager, connect } = await start();
    const alive = await connect("alice");
    await alive.connection.join("room");
    const dead = await foreign();
    dead.socket.terminate();
    await dead.client.closed();
    const connection = manager.connect(dead.socket, { rooms: ["room"] });
    expect(connection.state).toBe("closed");
    const throwing = await foreign();
    manager.connect(throwing.socket, { rooms: ["room"] });
    const cut = await connect("carol");
    await cut.connection.join("room");
    cut.client.socket.terminate();
    await manager.broadcastToRoom("room", MARKER);
    expect(await untilMarker(alive.client)).toEqual([]);
    expect(await untilMarker(throwing.client)).toEqual([]);
    await throwing.client.close();
    expect(manager.roomMembers("room")).not.toContain(connection);
    expect((await connection.send("x")).localRecipients).toBe(0);
  });

  test("into more rooms than allowed joins those it may, and says so", async () => {
    const { manager } = await start({ limits: { maxRoomsPerConnection: 1 } });
    const failed = new Promise((resolve) =>
      manager.on("error", (error, { stage }) => resolve([error instanceof RangeError, stage])),
    );
    const { socket } = await foreign();
    const connection = manager.connect(socket, { rooms: ["a", "b"] });
    expect(await failed).toEqual([true, "join"]);
    expect([...connection.rooms]).toEqual(["a"]);
  });

  test("closes a user's connection beyond the limit with 4008, and leaves the others", async () => {
    const { manager } = await start({ limits: { maxConnectionsPerUser: 1 } });
    const first = await foreign();
    const second = await foreign();
    manager.connect(first.socket, { userId: "alice" });
    manager.connect(second.socket, { userId: "alice" });
    expect(await second.client.closed()).toEqual({ code: 4008, reason: "Too many connections" });
    await manager.sendToUser("alice", "still here");
    expect(await first.client.next()).toBe("still here");
  });

  test("goes on where a backplane cannot count a user's connections, and says so", async () => {
    const real = memoryBackplane();
    const backplane: Backplane = {
      ...real,
      attach: (instance) => {
        const attachment = real.attach(instance);
        attachment.presence.reserve = () => Promise.reject(new Error("no count"));
        return attachment;
      },
    };
    const { manager } = await start({ backplane, limits: { maxConnectionsPerUser: 1 } });
    const failed = new Promise((resolve) =>
      manager.on("error", (error, { stage }) => resolve([String(error), stage])),
    );
    const { socket, client } = await foreign();
    manager.connect(socket, { userId: "alice" });
    expect(await failed).toEqual(["Error: no count", "reserve"]);
    await manager.sendToUser("alice", "still here");
    expect(await client.next()).toBe("still here");
  });

  test("refuses what is wrong before anything is registered", async () => {
    const { manager } = await start();
    const { socket } = await foreign();
    const connect = (options: object): unknown => manager.connect(socket, options);
    expect(() => manager.connect({} as WebSocket)).toThrow(TypeError);
    expect(() => connect({ id: "~mine" })).toThrow(RangeError);
    expect(() => connect({ id: 5 })).toThrow(TypeError);
    expect(() => connect({ userId: "" })).toThrow(RangeError);
    expect(() => connect({ rooms: ["ok", "{"] })).toThrow(RangeError);
    expect(manager.connectionCount).toBe(0);
    manager.connect(socket);
    expect(() => connect({})).toThrow("registered already");
  });
});

test("options that are wrong are named", () => {
  const make = (options: object): unknown => new ConnectionManager(options);
  expect(() => make({ instanceId: "" })).toThrow(RangeError);
  expect(() => make({ config: { pingTimeoutMs: -1 } })).toThrow("config.pingTimeoutMs");
  expect(() => make({ limits: { maxRoomsPerConnection: 0 } })).toThrow("maxRoomsPerConnection");
  expect(() => make({ limits: { maxRooms: 1 } })).toThrow("maxRooms");
  expect(() => make({ offlineGraceMs: -1 })).toThrow("offlineGraceMs");
  expect(() => make({ rooms: { "*": { whenUnavailable: "panic" } } })).toThrow("whenUnavailable");
  expect(() => make({ rooms: { a: { history: { maxLength: 0 } } } })).toThrow("history.maxLength");
});

test("making a manager starts nothing, and several in one process do not know each other", async () => {
  const before = process.getActiveResourcesInfo().length;
  const one = await start();
  const two = await start();
  expect(new ConnectionManager({ backplane: memoryBackplane() }).connectionCount).toBe(0);
  const { client } = await one.connect("alice");
  await two.manager.broadcast("not for alice");
  await one.manager.broadcast(MARKER);
  expect(await untilMarker(client)).toEqual([]);
  expect(await two.manager.presence.isOnline("alice")).toBe(false);
  expect(before).toBeGreaterThanOrEqual(0);
});
