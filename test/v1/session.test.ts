import { setTimeout as wait } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import type { Connection } from "../../src/connection/connection.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import {
  type ManagerServer,
  type ManagerServerOptions,
  startManager,
} from "../support/manager-server.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();
// One for all tests, since it takes seconds to start; each has a prefix of its own.
let cluster: RedisCluster | undefined;
let uses = 0;
afterAll(() => cluster?.dispose());

const ROOMS = { "chat:*": { history: { maxLength: 1000, resumeLimit: 5 } } };

type Frame = Record<string, unknown>;

/** Managers that are one cluster, each with the durable rooms `chat:*` and the route `/v1`. */
type StartCluster = (count: number, options?: ManagerServerOptions) => Promise<ManagerServer[]>;

async function startAll(
  count: number,
  makeBackplane: () => Backplane,
  options: ManagerServerOptions,
): Promise<ManagerServer[]> {
  const all: ManagerServer[] = [];
  for (let i = 0; i < count; i++) {
    const one = await startManager({ rooms: ROOMS, ...options, backplane: makeBackplane() });
    onDispose(one.dispose);
    one.router.protected("/free", { message: () => {} });
    one.router.protected(
      "/v1",
      { authorize: (_connection, room) => room !== "chat:secret" },
      {
        message: async (connection, message) => {
          const [verb, room = ""] = String(message).split(" ");
          if (verb === "join") await connection.join(room);
          else if (verb === "leave") await connection.leave(room);
          else return `handled ${message}`;
          return undefined;
        },
      },
    );
    all.push(one);
  }
  return all;
}

const backplanes: { name: string; start: StartCluster }[] = [
  {
    name: "memory",
    start: async (count, options = {}) => {
      const shared = memoryBackplane();
      return startAll(count, () => shared, options);
    },
  },
  {
    name: "Redis",
    start: async (count, options = {}) => {
      const redis = await startRedisServer();
      onDispose(redis.dispose);
      return startAll(count, () => redisBackplane({ url: redis.url }), options);
    },
  },
  {
    name: "Redis Cluster",
    start: async (count, options = {}) => {
      cluster ??= await startRedisCluster();
      const location = { cluster: cluster.urls, prefix: `test-${++uses}:` };
      return startAll(count, () => redisBackplane(location), options);
    },
  },
];

async function open(one: ManagerServer, user = "alice", path = "/v1"): Promise<Client> {
  const client = await Client.connect(`${one.url}${path}?user=${user}`, {}, ["roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  return client;
}

/** A client that has said where it stands. */
async function resume(
  one: ManagerServer,
  rooms: Record<string, string> = {},
  user = "alice",
): Promise<Client> {
  const client = await open(one, user);
  expect(await client.nextJson()).toMatchObject({ type: "welcome" });
  client.send({ type: "resume", rooms });
  return client;
}

async function frames(client: Client, count: number): Promise<Frame[]> {
  const all: Frame[] = [];
  for (let i = 0; i < count; i++) all.push(await client.nextJson());
  return all;
}

/** Sends texts to a room and resolves to their positions. */
async function publish(one: ManagerServer, room: string, ...texts: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const text of texts) {
    const { id } = await one.manager.broadcastToRoom(room, text);
    if (id === undefined) throw new Error("not stored");
    ids.push(id);
  }
  return ids;
}

function join(client: Client, room: string): void {
  client.send({ type: "message", data: `join ${room}` });
}

/** The connection of the only client of a manager. */
function onlyConnection(one: ManagerServer): Connection<unknown> {
  const [connection] = one.manager.connections();
  if (connection === undefined) throw new Error("nobody is connected");
  return connection;
}

describe.each(backplanes)("roomcast.v1 over $name", ({ start }) => {
  test("begins with welcome, and messages come in envelopes", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const client = await open(one);
    const connection = onlyConnection(one);
    expect(client.socket.protocol).toBe("roomcast.v1");
    expect(await client.nextJson()).toEqual({
      type: "welcome",
      connection: connection.id,
      instance: one.manager.instanceId,
      heartbeat_ms: 20_000,
    });
    client.send({ type: "resume", rooms: {} });
    await connection.send({ hello: [1] });
    await one.manager.sendToUser("alice", "text");
    await one.manager.broadcast(new Uint8Array([1, 2, 3]));
    expect(await frames(client, 2)).toEqual([
      { type: "message", data: '{"hello":[1]}' },
      { type: "message", data: "text" },
    ]);
    const binary = Buffer.from(await client.next());
    const length = binary.readUInt16BE(0);
    expect(JSON.parse(binary.toString("utf8", 2, 2 + length))).toEqual({
      type: "message",
      room: "{broadcast}",
    });
    expect([...binary.subarray(2 + length)]).toEqual([1, 2, 3]);
  });

  test("a durable room is joined at a position, and each message names the one before it", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const [before] = await publish(one, "chat:a", "before");
    const client = await resume(one);
    join(client, "chat:a");
    expect(await client.nextJson()).toEqual({
      type: "joined",
      room: "chat:a",
      recovered: null,
      position: before,
    });
    const ids = await publish(one, "chat:a", "1", "2");
    await one.manager.broadcastToRoom("chat:a", "fleeting", { persist: false });
    expect(await frames(client, 3)).toEqual([
      { type: "message", room: "chat:a", id: ids[0], prev: before, data: "1" },
      { type: "message", room: "chat:a", id: ids[1], prev: ids[0], data: "2" },
      { type: "message", room: "chat:a", data: "fleeting" },
    ]);
    client.send({ type: "message", data: "leave chat:a" });
    expect(await client.nextJson()).toEqual({ type: "left", room: "chat:a" });
  });

  test("a room without a log is joined without a position", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const client = await resume(one, { asked: "0" });
    const answers = await frames(client, 1);
    join(client, "plain");
    answers.push(...(await frames(client, 1)));
    expect(answers).toEqual([
      { type: "joined", room: "asked", recovered: false, position: null },
      { type: "joined", room: "plain", recovered: null, position: null },
    ]);
    await one.manager.broadcastToRoom("plain", "x");
    expect(await client.nextJson()).toEqual({ type: "message", room: "plain", data: "x" });
  });

  test("what was missed comes on any instance, in order and once, and then what is new", async () => {
    const [one, other] = await start(2);
    if (one === undefined || other === undefined) return;
    const first = await resume(one, { "chat:a": "0" });
    expect(await first.nextJson()).toMatchObject({ recovered: true, position: "0" });
    const [seen = ""] = await publish(one, "chat:a", "seen");
    expect(await first.nextJson()).toMatchObject({ id: seen });
    first.socket.terminate();
    const missed = await publish(other, "chat:a", "m1", "m2", "m3");

    const second = await resume(other, { "chat:a": seen });
    expect(await frames(second, 4)).toEqual([
      { type: "joined", room: "chat:a", recovered: true, position: missed[2] },
      { type: "message", room: "chat:a", id: missed[0], prev: seen, data: "m1" },
      { type: "message", room: "chat:a", id: missed[1], prev: missed[0], data: "m2" },
      { type: "message", room: "chat:a", id: missed[2], prev: missed[1], data: "m3" },
    ]);
    const [fresh] = await publish(one, "chat:a", "new");
    expect(await second.nextJson()).toMatchObject({ id: fresh, prev: missed[2], data: "new" });
  });

  test("recovered is false, and nothing comes, where not everything is there any more", async () => {
    const [one, other] = await start(2);
    if (one === undefined || other === undefined) return;
    const [old = "", ...rest] = await publish(one, "chat:a", "0", "1", "2", "3", "4", "5", "6");
    const newest = rest.at(-1);
    const unknown = "1-1~nobody";
    for (const [instance, position, recovered] of [
      [one, old, false],
      [other, old, false],
      [other, unknown, false],
      [one, "0", false],
      [other, rest[0], true],
      [one, newest, true],
    ] as const) {
      const client = await resume(instance, { "chat:a": position ?? "" });
      expect(await client.nextJson()).toEqual({
        type: "joined",
        room: "chat:a",
        recovered,
        position: newest,
      });
      if (recovered && position !== newest) {
        expect((await frames(client, 5)).map(({ data }) => data)).toEqual([..."23456"]);
      }
      client.send({ type: "ping", t: 1 });
      expect(await client.nextJson()).toEqual({ type: "pong", t: 1 });
      await client.close();
    }
  });

  test("a malformed position is an error, and a room one may not join stays closed", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const [secret = ""] = await publish(one, "chat:secret", "secret");
    const client = await resume(one, { "chat:a": "nonsense", "chat:secret": secret, "a{": "0" });
    const told = (await frames(client, 4)).map(({ code, room, recovered }) => [
      room,
      code ?? recovered,
    ]);
    expect(new Map(told as [string, unknown][])).toEqual(
      new Map<string, unknown>([
        ["a{", "bad_room"],
        ["chat:secret", "forbidden"],
        // Of what was wrong it is told, and then it is joined without.
        ["chat:a", null],
      ]),
    );
    expect(told.map(([, what]) => what)).toContain("bad_position");
    expect([...onlyConnection(one).rooms]).toEqual(["chat:a"]);
  });

  test("what a client was left out of is skipped in its chain, live and when it resumes", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const client = await resume(one, { "chat:a": "0" });
    const plain = await one.connect("alice");
    const bob = await one.connect("bob");
    for (const { connection } of [plain, bob]) await connection.join("chat:a");
    await client.nextOfType("joined");
    const except = { users: ["alice"] };
    const { id } = await one.manager.broadcastToRoom("chat:a", "not for alice", { except });
    const [next] = await publish(one, "chat:a", "for all");
    const expected = [
      { type: "message", room: "chat:a", id, prev: "0", skip: true },
      { type: "message", room: "chat:a", id: next, prev: id, data: "for all" },
    ];
    expect(await frames(client, 2)).toEqual(expected);
    expect(await plain.client.next()).toBe("for all");
    expect(await bob.client.next()).toBe("not for alice");
    const again = await resume(one, { "chat:a": "0" });
    expect(await again.nextJson()).toMatchObject({ type: "joined", recovered: true });
    expect(await frames(again, 2)).toEqual(expected);
  });

  test("room output waits for the resume, but not for long", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const client = await open(one, "alice", "/free");
    await client.nextOfType("welcome");
    const connection = onlyConnection(one);
    await one.manager.joinRoom(connection, "chat:a");
    const [first] = await publish(one, "chat:a", "first");
    await one.manager.broadcastToRoom("chat:a", "fleeting", { persist: false });
    await connection.send("direct");
    expect(await client.nextJson()).toEqual({ type: "message", data: "direct" });
    // No resume comes.
    expect(await frames(client, 3)).toEqual([
      { type: "joined", room: "chat:a", recovered: null, position: "0" },
      { type: "message", room: "chat:a", id: first, prev: "0", data: "first" },
      { type: "message", room: "chat:a", data: "fleeting" },
    ]);
  });

  test("where the route has no authorize, a room is resumed when the server joins it", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const [first = "", second] = await publish(one, "chat:a", "1", "2");
    const client = await open(one, "alice", "/free");
    await client.nextOfType("welcome");
    client.send({ type: "resume", rooms: { "chat:a": first } });
    client.send({ type: "ping" });
    expect(await client.nextJson()).toEqual({ type: "pong" });
    expect([...onlyConnection(one).rooms]).toEqual([]);
    await one.manager.joinRoom(onlyConnection(one), "chat:a");
    expect(await frames(client, 2)).toEqual([
      { type: "joined", room: "chat:a", recovered: true, position: second },
      { type: "message", room: "chat:a", id: second, prev: first, data: "2" },
    ]);
  });

  test("a durable broadcast is a room everyone is in", async () => {
    const [one, other] = await start(2, { broadcast: { history: {} } });
    if (one === undefined || other === undefined) return;
    const { id: first = "" } = await one.manager.broadcast("1");
    const client = await resume(other, { "{broadcast}": first });
    expect(await client.nextJson()).toMatchObject({ room: "{broadcast}", recovered: true });
    const { id: second } = await one.manager.broadcast("2");
    const room = "{broadcast}";
    const next = await client.nextJson();
    expect(next).toEqual({ type: "message", room, id: second, prev: first, data: "2" });
    const again = await resume(one, { "{broadcast}": first });
    expect(await frames(again, 2)).toEqual([
      { type: "joined", room, recovered: true, position: second },
      next,
    ]);
    const all: unknown[] = [];
    for await (const { data } of one.manager.history.read("{broadcast}")) all.push(data);
    expect(all).toEqual(["1", "2"]);
  });

  test("binary messages are resumed as bytes", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    const bytes = new Uint8Array([0, 255, 10]);
    const { id } = await one.manager.broadcastToRoom("chat:a", bytes);
    const client = await resume(one, { "chat:a": "0" });
    expect(await client.nextJson()).toMatchObject({ type: "joined", recovered: true });
    const frame = Buffer.from(await client.next());
    const end = 2 + frame.readUInt16BE(0);
    expect(JSON.parse(frame.toString("utf8", 2, end))).toEqual({
      type: "message",
      room: "chat:a",
      id,
      prev: "0",
    });
    expect([...frame.subarray(end)]).toEqual([...bytes]);
  });

  test("a message with an id is acknowledged with the handler's answer, handled once though sent again", async () => {
    const [one, other] = await start(2);
    if (one === undefined || other === undefined) return;
    const handled: string[] = [];
    for (const instance of [one, other]) {
      instance.router.protected("/count", {
        message: async (_connection, message) => {
          handled.push(String(message));
          await wait(20);
          return { n: handled.length };
        },
      });
    }
    const client = await open(one, "alice", "/count");
    await client.nextOfType("welcome");
    client.send({ type: "message", id: "m1", data: "first" });
    client.send({ type: "message", data: "second" });
    client.send({ type: "message", id: "m1", data: "first" });
    client.send({ type: "message", id: "m2", data: { third: true } });
    expect(await frames(client, 3)).toEqual([
      { type: "ack", id: "m1", data: { n: 1 } },
      { type: "ack", id: "m1", data: { n: 1 } },
      { type: "ack", id: "m2", data: { n: 3 } },
    ]);
    expect(handled).toEqual(["first", "second", '{"third":true}']);
    client.socket.terminate();
    const again = await open(other, "alice", "/count");
    await again.nextOfType("welcome");
    again.send({ type: "message", id: "m2", data: { third: true } });
    expect(await again.nextJson()).toEqual({ type: "ack", id: "m2", data: { n: 3 } });
    // Another user's m2 is another message.
    const bob = await open(other, "bob", "/count");
    await bob.nextOfType("welcome");
    bob.send({ type: "message", id: "m2", data: "bob" });
    expect(await bob.nextJson()).toEqual({ type: "ack", id: "m2", data: { n: 4 } });
  });

  test("a message sent again while its handler is at work is answered when it is done", async () => {
    const [one, other] = await start(2);
    if (one === undefined || other === undefined) return;
    let handled = 0;
    let finish: (answer: string) => void = () => {};
    for (const instance of [one, other]) {
      instance.router.protected("/slow", {
        message: () => {
          handled++;
          return new Promise<string>((resolve) => {
            finish = resolve;
          });
        },
      });
    }
    const client = await open(one, "alice", "/slow");
    client.send({ type: "message", id: "m", data: "x" });
    await expect.poll(() => handled).toBe(1);
    client.socket.terminate();
    const again = await open(other, "alice", "/slow");
    await again.nextOfType("welcome");
    again.send({ type: "message", id: "m", data: "x" });
    again.send({ type: "ping" });
    expect(await again.nextJson()).toEqual({ type: "pong" });
    finish("done");
    expect(await again.nextJson()).toEqual({ type: "ack", id: "m", data: "done" });
    expect(handled).toBe(1);
  });

  test("a message whose handler failed may be sent again", async () => {
    const [one] = await start(1);
    if (one === undefined) return;
    let attempts = 0;
    one.manager.on("error", () => {});
    one.router.protected("/flaky", {
      message: () => {
        if (++attempts === 1) throw new Error("not now");
      },
    });
    const client = await open(one, "alice", "/flaky");
    await client.nextOfType("welcome");
    client.send({ type: "message", id: "m", data: "x" });
    expect(await client.nextJson()).toMatchObject({
      type: "error",
      code: "internal_error",
      id: "m",
    });
    client.send({ type: "message", id: "m", data: "x" });
    expect(await client.nextJson()).toEqual({ type: "ack", id: "m" });
    expect(attempts).toBe(2);
  });
});

test("schemas, loops and listeners acknowledge too, and errors name the message", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const seen: unknown[] = [];
  one.router.protected(
    "/schema",
    { schema: z.object({ n: z.number() }) },
    { message: (_connection, { n }) => n + 1 },
  );
  one.router.protected("/loop", async (connection) => {
    for await (const message of connection) {
      seen.push(message);
      await wait(10);
      seen.push("done");
    }
  });
  one.router.protected("/json", async (connection) => {
    for await (const value of connection.json()) seen.push(value);
  });
  one.router.protected("/push", () => {});

  const schema = await open(one, "a", "/schema");
  await schema.nextOfType("welcome");
  schema.send({ type: "message", id: "1", data: { n: 1 } });
  schema.send({ type: "message", id: "2", data: { n: "x" } });
  schema.send({ type: "message", id: "3", data: "{" });
  schema.send({ type: "message", id: "4", data: '{"n":4}' });
  const answers = (await frames(schema, 4)).sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
  expect(answers).toMatchObject([
    { type: "ack", id: "1", data: 2 },
    { type: "error", id: "2", code: "invalid_message" },
    { type: "error", id: "3", code: "bad_json" },
    { type: "ack", id: "4", data: 5 },
  ]);

  const loop = await open(one, "a", "/loop");
  await loop.nextOfType("welcome");
  loop.send({ type: "message", id: "l", data: "x" });
  expect(await loop.nextJson()).toEqual({ type: "ack", id: "l" });
  expect(seen).toEqual(["x", "done"]);

  const json = await open(one, "a", "/json");
  await json.nextOfType("welcome");
  json.send({ type: "message", id: "j", data: "{" });
  json.send({ type: "message", id: "k", data: [1] });
  expect(await frames(json, 2)).toMatchObject([
    { type: "error", id: "j", code: "bad_json" },
    { type: "ack", id: "k" },
  ]);
  expect(seen.slice(2)).toEqual([[1]]);

  const push = await open(one, "a", "/push");
  await push.nextOfType("welcome");
  push.send({ type: "message", id: "p", data: "x" });
  expect(await push.nextJson()).toMatchObject({ type: "error", id: "p", code: "not_handled" });
});

test("frames nobody understands are answered, and the fifth in a row ends the connection", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const client = await resume(one);
  const bad: [frame: string | Buffer, code: string][] = [
    ["{", "bad_json"],
    ["[]", "unknown_type"],
    [JSON.stringify({ type: "message" }), "bad_frame"],
    [JSON.stringify({ type: "message", id: 5, data: "" }), "bad_id"],
  ];
  for (const [frame, code] of bad) {
    client.send(frame);
    expect(await client.nextJson()).toMatchObject({ type: "error", code });
  }
  client.send({ type: "ping" });
  expect(await client.nextJson()).toEqual({ type: "pong" });
  const worse: [frame: string | Buffer, code: string][] = [
    [JSON.stringify({ type: "resume", rooms: {} }), "late_resume"],
    [Buffer.from([0]), "bad_frame"],
    [Buffer.from([0, 9, 1]), "bad_frame"],
    [JSON.stringify({ type: "auth" }), "bad_frame"],
    [JSON.stringify({ type: "auth", token: "x".repeat(9000) }), "auth_failed"],
  ];
  for (const [frame, code] of worse) {
    client.send(frame);
    expect(await client.nextJson()).toMatchObject({ type: "error", code });
  }
  expect(await client.nextJson()).toMatchObject({ type: "goodbye", code: 1008, reconnect: false });
  expect(await client.closed()).toMatchObject({ code: 1008 });
});

test("what waits for a resume is bounded: too much of it, and the connection goes on without", async () => {
  const [one] = await startAll(1, memoryBackplane, { limits: { maxBufferedBytes: 1024 } });
  if (one === undefined) return;
  const client = await open(one, "alice", "/free");
  await client.nextOfType("welcome");
  await one.manager.joinRoom(onlyConnection(one), "chat:a");
  const texts = Array.from({ length: 4 }, (_, i) => `${i}`.repeat(300));
  for (const text of texts) await one.manager.broadcastToRoom("chat:a", text, { persist: false });
  expect(await client.nextJson()).toMatchObject({ type: "joined", recovered: null });
  expect((await frames(client, 4)).map(({ data }) => data)).toEqual(texts);
});

test("a resume reaches back one MiB at most", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const ids = await publish(one, "chat:a", ...[..."abcd"].map((letter) => letter.repeat(400_000)));
  const far = await resume(one, { "chat:a": ids[0] ?? "" });
  expect(await far.nextOfType("joined")).toMatchObject({ recovered: false });
  const near = await resume(one, { "chat:a": ids[2] ?? "" });
  expect(await near.nextOfType("joined")).toMatchObject({ recovered: true });
  expect(await near.nextJson()).toMatchObject({ id: ids[3] });
});

test("a client that is slow to read what it resumed is not taken for a slow reader", async () => {
  const [one] = await startAll(1, memoryBackplane, { limits: { maxBufferedBytes: 100_000 } });
  if (one === undefined) return;
  // More than the system keeps for a connection by itself.
  const names = Array.from({ length: 20 }, (_, i) => `chat:${i}`);
  const missed = [..."1234"].map((digit) => digit.repeat(200_000));
  const rooms: Record<string, string> = {};
  for (const name of names) rooms[name] = (await publish(one, name, "0", ...missed))[0] ?? "";
  const client = await open(one);
  await client.nextOfType("welcome");
  client.socket.pause();
  client.send({ type: "resume", rooms });
  const connection = onlyConnection(one);
  await expect.poll(() => connection.bufferedAmount).toBeGreaterThan(200_000);
  const live = Array.from({ length: 20 }, (_, i) => `live ${i}`);
  for (const text of live) {
    await publish(one, "chat:0", text);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(connection.state).toBe("open");
  client.socket.resume();
  const got = new Map<unknown, string[]>(names.map((name) => [name, []]));
  while (![...got.values()].every((texts) => texts.length >= missed.length)) {
    const { type, room, data, recovered } = await client.nextJson();
    if (type === "joined") expect(recovered).toBe(true);
    else got.get(room)?.push(String(data).slice(0, 7));
  }
  const shown = missed.map((text) => text.slice(0, 7));
  for (const name of names) {
    expect(got.get(name)).toEqual(name === "chat:0" ? [...shown, ...live] : shown);
  }
});

test("a message is put into its envelope once for all connections", () => {
  const message = EncodedMessage.from("x");
  const link = { id: "1-0~a", prev: "0" };
  expect(message.enveloped("room", link)).toBe(message.enveloped("room", { ...link }));
  expect(message.skipped("room", link)).toBe(message.skipped("room", link));
  expect(message.enveloped("room", link).payload.toString()).toBe(
    '{"type":"message","room":"room","id":"1-0~a","prev":"0","data":"x"}',
  );
  expect(message.plain.payload.toString()).toBe("x");
});

test("a resume that comes late still holds for rooms the connection is not in yet", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const [first = "", second] = await publish(one, "chat:a", "1", "2");
  const client = await open(one);
  await client.nextOfType("welcome");
  join(client, "chat:b");
  expect(await client.nextJson()).toMatchObject({ type: "joined", room: "chat:b" });
  client.send({ type: "resume", rooms: { "chat:a": first, "chat:b": "0" } });
  expect(await client.nextJson()).toMatchObject({ type: "error", code: "late_resume" });
  expect(await client.nextJson()).toMatchObject({ type: "joined", recovered: true });
  expect(await client.nextJson()).toMatchObject({ id: second });
});

test("a client joins and leaves rooms by frames where the route says who may, in order", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const client = await resume(one);
  client.send({ type: "join", room: "chat:secret" });
  expect(await client.nextJson()).toMatchObject({ code: "forbidden", room: "chat:secret" });
  client.send({ type: "join", room: "chat:a" });
  expect(await client.nextJson()).toMatchObject({ type: "joined", room: "chat:a" });
  for (const type of ["leave", "join", "leave"]) client.send({ type, room: "chat:a" });
  client.send({ type: "message", id: "1", data: "hello" });
  await client.nextOfType("ack");
  expect([...onlyConnection(one).rooms]).toEqual([]);
  client.send({ type: "join", room: "a{" });
  expect(await client.nextOfType("error")).toMatchObject({ code: "bad_room" });

  const free = await open(one, "bob", "/free");
  await free.nextOfType("welcome");
  // What it was in before is for the application to join again.
  free.send({ type: "resume", rooms: { wanted: true, before: null } });
  expect(await free.nextJson()).toMatchObject({ code: "forbidden", room: "wanted" });
  free.send({ type: "join", room: "chat:a" });
  expect(await free.nextJson()).toMatchObject({ code: "forbidden", room: "chat:a" });
});

test("a resume of many rooms comes in several frames, and none of them waits in vain", async () => {
  const [one] = await startAll(1, memoryBackplane, { limits: { maxRoomsPerConnection: 240 } });
  if (one === undefined) return;
  const names = Array.from({ length: 250 }, (_, i) => (i % 2 === 0 ? `chat:${i}` : `plain:${i}`));
  const client = await open(one);
  for (let i = 0; i < 250; i += 100) {
    const part = names.slice(i, i + 100);
    const rooms = Object.fromEntries(
      part.map((room) => [room, room.startsWith("chat") ? "0" : null]),
    );
    client.send({ type: "resume", rooms, more: i < 200 });
  }
  const told = (await frames(client, 251)).filter(({ type }) => type !== "welcome");
  const joined = told.filter(({ type }) => type === "joined");
  expect(joined).toHaveLength(240);
  for (const { room, recovered } of joined) {
    expect(recovered).toBe(String(room).startsWith("chat") ? true : null);
  }
  // The rest cannot be had, and each is told.
  const refused = told.filter(({ code }) => code === "too_many_rooms");
  expect(new Set([...joined, ...refused].map(({ room }) => room))).toEqual(new Set(names));
});

test("more rooms than a resume may have are refused as a whole, and the client goes on", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const client = await open(one);
  await client.nextOfType("welcome");
  for (let frame = 0; frame < 11; frame++) {
    const rooms = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`r${frame}.${i}`, null]),
    );
    client.send({ type: "resume", rooms, more: frame < 10 });
  }
  client.send({ type: "ping" });
  const told = await frames(client, 1002);
  expect(told.filter(({ type }) => type === "joined")).toHaveLength(1000);
  expect(told.filter(({ type }) => type === "error")).toMatchObject([{ code: "bad_frame" }]);
});

test("positions that are none do not end the connection, however many there are", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const rooms = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`chat:${i}`, "nonsense"]));
  const client = await open(one);
  client.send({ type: "resume", rooms });
  const told = await frames(client, 41);
  const errors = told.filter(({ code }) => code === "bad_position");
  expect(new Set(errors.map(({ room }) => room))).toEqual(new Set(Object.keys(rooms)));
  expect(told.filter(({ type }) => type === "joined")).toHaveLength(20);
  client.send({ type: "ping" });
  expect(await client.nextJson()).toEqual({ type: "pong" });
});

test("what a client sends after its resume is handled after it: a room that is left stays left", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const left: boolean[] = [];
  const slow = async (): Promise<boolean> => {
    await wait(20);
    return true;
  };
  one.router.protected(
    "/slow",
    { authorize: slow },
    { message: async (connection) => left.push(await connection.leave("chat:a")) },
  );
  const client = await open(one, "alice", "/slow");
  client.send({ type: "resume", rooms: { "chat:a": "0", "chat:b": "0" } });
  client.send({ type: "message", data: "leave" });
  await client.nextOfType("left");
  expect(left).toEqual([true]);
  expect([...onlyConnection(one).rooms]).toEqual(["chat:b"]);
});

test("bytes from a client reach the handler as bytes", async () => {
  const [one] = await startAll(1, memoryBackplane, {});
  if (one === undefined) return;
  const seen: unknown[] = [];
  one.router.protected("/bytes", { message: (_connection, message) => void seen.push(message) });
  const client = await open(one, "alice", "/bytes");
  await client.nextOfType("welcome");
  const header = Buffer.from(JSON.stringify({ type: "message", id: "b" }));
  client.send(Buffer.concat([Buffer.from([0, header.length]), header, Buffer.from([7, 8])]));
  expect(await client.nextJson()).toEqual({ type: "ack", id: "b" });
  expect(seen).toEqual([Buffer.from([7, 8])]);
});
