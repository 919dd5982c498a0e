import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { type RedisServer, startRedisServer } from "../../support/redis-server.ts";

const onDispose = useDisposals();
const ENTRY = { connectedAt: 1, metadata: {} };
const users = Array.from({ length: 60 }, (_, i) => `user ${i}`);

async function startRedis(): Promise<{ server: RedisServer; redis: Client }> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const redis = createClient({ url: server.url }) as Client;
  redis.on("error", () => {});
  await redis.connect();
  onDispose(() => redis.destroy());
  return { server, redis };
}

async function join(url: string, id: string): Promise<Attachment & { recorder: Recorder }> {
  const recorder = new Recorder(id);
  const attachment = redisBackplane({ url, leaseMs: 2000 }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  return Object.assign(attachment, { recorder });
}

/** Who was told gone, by answers and by itself. */
function toldGone(answers: readonly boolean[], ...members: { recorder: Recorder }[]): number {
  const raised = members.flatMap(({ recorder }) => recorder.raised);
  return answers.filter(Boolean).length + raised.filter(({ type }) => type === "offline").length;
}

test("one of two devices that closes while connections are killed: nobody is told offline", async () => {
  const { server, redis } = await startRedis();
  const [a, b] = [await join(server.url, "a"), await join(server.url, "b")];
  for (const { presence } of [a, b]) {
    await Promise.all(users.map((user) => presence.online(user, ENTRY)));
  }
  await redis.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  const gone = await Promise.all(users.map((user) => a.presence.offline(user)));
  await a.recorder.until(() => a.recorder.statuses.length >= 3);
  // Answered once it has caught up.
  expect(await a.presence.onlineCount()).toBe(60);
  expect((await a.presence.get("user 0")).instances.map(({ instance }) => instance)).toEqual(["b"]);
  expect(toldGone(gone, a, b)).toBe(0);
});

test("an instance that withdraws while Redis hangs tells nobody gone who is elsewhere, and the rest is told once", async () => {
  const { server } = await startRedis();
  const [a, b] = [await join(server.url, "a"), await join(server.url, "b")];
  await Promise.all(users.map((user) => a.presence.online(user, ENTRY)));
  await Promise.all(users.slice(10).map((user) => b.presence.online(user, ENTRY)));
  server.stop();
  const told = await a.presence.withdraw();
  server.cont();
  await a.stop();
  await b.recorder.until(() => toldGone([], b) + told.length >= 10);
  expect(await b.presence.onlineCount()).toBe(50);
  const all = [...told, ...b.recorder.raised].map(({ user }) => user);
  expect(all.sort()).toEqual(users.slice(0, 10).sort());
});

test("one key of the wrong type does not keep the rest from being written again", async () => {
  const { server, redis } = await startRedis();
  const a = await join(server.url, "a");
  for (const room of ["fine", "broken", "other"]) await a.presence.enter(room, "alice");
  await a.presence.online("alice", ENTRY);
  await redis.multi().flushAll().set("ws:present:room:broken", "garbage").exec();
  await expect.poll(() => a.presence.roomUserCount("other")).toBe(1);
  expect(await a.presence.roomUserCount("fine")).toBe(1);
  expect(await a.presence.isOnline("alice")).toBe(true);
  expect(a.recorder.troubles.join()).toContain("WRONGTYPE");
});

test("everything that is kept of who is where expires when nobody renews it", async () => {
  const { server, redis } = await startRedis();
  const a = await join(server.url, "a");
  await a.presence.online("alice", ENTRY);
  await a.presence.enter("room", "alice");
  await a.presence.claim("chosen");
  await a.presence.reserve("alice", "chosen", { max: 1, whenFull: "reject" });
  await a.presence.joinAsUser("alice", "vip");
  await (await join(server.url, "b")).presence.online("alice", ENTRY);
  const keys = await redis.keys("*");
  expect(keys.length).toBeGreaterThanOrEqual(10);
  for (const key of keys) expect([key, (await redis.pTTL(key)) > 0]).toEqual([key, true]);
});
