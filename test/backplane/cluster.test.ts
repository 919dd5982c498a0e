import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Attachment } from "../../src/backplane/contract/backplane.ts";
import { keySlot } from "../../src/backplane/redis/key-slot.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();
let redis: RedisCluster;
let uses = 0;

// One for all tests, since it takes seconds to start; each has a prefix of its own.
beforeAll(async () => {
  redis = await startRedisCluster();
});
afterAll(() => redis.dispose());

/** Instances that know nothing of those of other tests. */
function freshCluster(
  leaseMs = 15_000,
): (id: string) => Promise<Attachment & { recorder: Recorder }> {
  const prefix = `test-${++uses}:`;
  const backplane = redisBackplane({ cluster: redis.urls, prefix, leaseMs });
  return async (id) => {
    const recorder = new Recorder(id);
    const attachment = backplane.attach(recorder);
    onDispose(() => attachment.stop());
    await attachment.start();
    return Object.assign(attachment, { recorder });
  };
}

function message(text: string): { type: "message"; message: EncodedMessage; except: null } {
  return { type: "message", message: EncodedMessage.from(text), except: null };
}

test("messages to rooms on every shard come back to their sender and to others, in one order", async () => {
  const join = freshCluster();
  const a = await join("a");
  const b = await join("b");
  const rooms = Array.from({ length: 300 }, (_, i) => `room:${i}` as const);
  await Promise.all(rooms.flatMap((room) => [a, b].map(({ broker }) => broker.subscribe(room))));
  const sent = rooms.flatMap((room) =>
    [a, b].map(({ broker }, i) => broker.publish(room, message(`${room} ${i}`))),
  );
  for (const publication of await Promise.all(sent)) {
    expect(publication).toEqual({ scope: "cluster", localRecipients: 1 });
  }
  const inRoom = ({ recorder }: typeof a, room: string): string[] =>
    recorder.texts.filter((text) => text.startsWith(`${room} `));
  for (const one of [a, b]) await one.recorder.until(() => one.recorder.received.length === 600);
  for (const room of rooms) {
    expect(inRoom(a, room)).toHaveLength(2);
    expect(inRoom(a, room)).toEqual(inRoom(b, room));
  }
});

test("text that anybody publishes to the channel of a room is delivered as text", async () => {
  const { broker, recorder } = await freshCluster()("a");
  await broker.subscribe("room:lobby");
  // As the documentation says: the bucket is CLUSTER KEYSLOT of the entity, modulo 256.
  const [node] = redis.primaries;
  const slot = Number(await node?.client.sendCommand(["CLUSTER", "KEYSLOT", "room:lobby"]));
  const bucket = slot % 256;
  const channel = `test-${uses}:{${bucket}}:room:lobby`;
  const { client } = await redis.holder(keySlot(String(bucket)));
  await client.sPublish(channel, '{"hello":1}');
  await recorder.until(() => recorder.texts.length > 0);
  expect(recorder.texts).toEqual(['{"hello":1}']);
});

test("whatever is stored lies in the slot of its bucket, and nothing is left when all have gone", async () => {
  const a = await freshCluster()("a");
  await a.presence.online("alice", { connectedAt: 1, metadata: {} });
  await a.presence.enter("room", "alice");
  await a.presence.claim("chosen");
  await a.presence.reserve("alice", "chosen", { max: 1, whenFull: "reject" });
  const keys = async (): Promise<string[]> => {
    const all = await Promise.all(
      redis.primaries.map(({ client }) => client.keys(`test-${uses}:*`)),
    );
    return all.flat();
  };
  expect((await keys()).filter((key) => !/^test-\d+:\{\d+\}:/.test(key))).toEqual([]);
  await a.presence.withdraw();
  await a.stop();
  expect((await keys()).filter((key) => !/:(cluster|buckets)$/.test(key))).toEqual([]);
});

/** Brings users, who lie in many buckets, online and into a room. */
async function fill({ presence }: Attachment, users: readonly string[]): Promise<void> {
  await Promise.all(
    users.map(async (user) => {
      await presence.online(user, { connectedAt: 1, metadata: {} });
      await presence.enter("room", user);
    }),
  );
}

test("an instance that dies is cleared away on every shard, and each of its users told once", async () => {
  const join = freshCluster(3000);
  const a = await join("a");
  const b = await join("b");
  const c = await join("c");
  const users = Array.from({ length: 60 }, (_, i) => `user ${i}`);
  await fill(a, users);
  await fill(b, ["both"]);
  await fill(a, ["both"]);
  // Without taking anything back.
  await a.stop();
  const told = (): string[] =>
    [b, c].flatMap(({ recorder }) => recorder.raised.map(({ type, user }) => `${type} ${user}`));
  while (told().length < users.length * 2) await wait(20);
  expect(await b.presence.onlineCount()).toBe(1);
  expect(await c.presence.roomUserCount("room")).toBe(1);
  // Nothing more comes, though both go on looking for the dead.
  await wait(3000);
  expect(told().sort()).toEqual(
    users.flatMap((user) => [`leave ${user}`, `offline ${user}`]).sort(),
  );
});

test("a primary that is emptied is told everything again, in silence", async () => {
  const join = freshCluster(3000);
  const a = await join("a");
  const b = await join("b");
  const users = Array.from({ length: 60 }, (_, i) => `user ${i}`);
  await fill(a, users);
  await redis.primaries[0]?.client.flushAll();
  // Whoever reads notices for itself; the others with their next heartbeat.
  expect(await a.presence.onlineCount()).toBe(60);
  while ((await b.presence.onlineCount()) < 60) await wait(20);
  while ((await b.presence.roomUserCount("room")) < 60) await wait(20);
  expect([...a.recorder.raised, ...b.recorder.raised]).toEqual([]);
});

test("an instance with another number of buckets does not start, and says why", async () => {
  const join = freshCluster();
  const prefix = `test-${uses}:`;
  const { client } = await redis.holder(keySlot("0"));
  await client.set(`${prefix}{0}:buckets`, "128");
  await expect(join("a")).rejects.toThrow(
    "What lies in the Redis Cluster is divided into 128 buckets, but this version uses 256. " +
      "Use another prefix, or the version of the other instances.",
  );
});

test("a node of a Cluster that is named by url alone is refused, and so is a Redis without Cluster", async () => {
  const [url] = redis.urls;
  const alone = redisBackplane({ ...(url && { url }) }).attach(new Recorder("a"));
  await expect(alone.start()).rejects.toThrow(
    "This Redis is a node of a Cluster: name some of its nodes with the option cluster.",
  );
  const server = await startRedisServer();
  onDispose(server.dispose);
  const recorder = new Recorder("b");
  const attachment = redisBackplane({ cluster: [server.url] }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  expect(recorder.troubles.join()).toContain("no node of a Cluster: name it with the option url");
});

test("the permissions that are named suffice, and without that for CLUSTER SLOTS the error names it", async () => {
  const prefix = `test-${++uses}:`;
  const rights = "+@read +@write +@pubsub +@scripting +@connection +info +time";
  const setUser = async (...more: string[]): Promise<void> => {
    const rules = ["on", ">pw", `~${prefix}*`, `&${prefix}*`, ...rights.split(" "), ...more];
    for (const { client } of redis.primaries) {
      await client.sendCommand(["ACL", "SETUSER", "app", "reset", ...rules]);
    }
  };
  const cluster = redis.primaries.map(({ server }) => `redis://app:pw@127.0.0.1:${server.port}`);
  const recorder = new Recorder("a");
  const attachment = redisBackplane({ cluster, prefix }).attach(recorder);
  onDispose(() => attachment.stop());
  await setUser();
  await attachment.start();
  expect(recorder.troubles.join()).toMatch(/lacks a permission: NOPERM .*\+cluster\|slots/);
  await setUser("+cluster|slots");
  await recorder.until(() => recorder.statuses.includes("connected"));
  await attachment.presence.online("alice", { connectedAt: 1, metadata: {} });
  await attachment.presence.enter("room", "alice");
  await attachment.broker.subscribe("room:x");
  expect(await attachment.broker.publish("room:x", message("x"))).toMatchObject({
    scope: "cluster",
  });
  expect(await attachment.presence.onlineCount()).toBe(1);
  expect(recorder.troubles).toHaveLength(1);
});

test("no nodes, or other options beside them, are a TypeError", () => {
  const cluster = ["redis://127.0.0.1:7000"];
  expect(() => redisBackplane({ cluster: [] })).toThrow(TypeError);
  expect(() => redisBackplane({ cluster: ["http://127.0.0.1"] })).toThrow(/cluster must list/);
  expect(() => redisBackplane({ cluster, url: "redis://127.0.0.1" })).toThrow(/not with url/);
});
