import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import { Changes } from "../../../src/backplane/redis/presence/changes.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { Roster } from "../../../src/presence/roster.ts";
import { type PresenceChange, PresenceWatch } from "../../../src/presence/watch.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { type RedisServer, startRedisServer } from "../../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();
const LEASE_MS = 2000;

async function startRedis(port?: number): Promise<RedisServer> {
  const server = await startRedisServer(port === undefined ? {} : { port });
  onDispose(server.dispose);
  return server;
}

interface Joined extends Attachment {
  readonly recorder: Recorder;
  readonly proxy: TcpProxy;
}

/** An instance behind a proxy of its own. */
async function join(port: number, id: string): Promise<Joined> {
  const proxy = await startTcpProxy(port);
  onDispose(proxy.dispose);
  const recorder = new Recorder(id);
  const url = `redis://127.0.0.1:${proxy.port}`;
  const attachment = redisBackplane({ url, leaseMs: LEASE_MS }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  return Object.assign(attachment, { recorder, proxy });
}

/** Reads who is in the room on this instance. */
async function watch({ presence }: Joined): Promise<() => Promise<PresenceChange | null>> {
  const roster = new Roster(() => presence.roomUsers("room"));
  const watching = new PresenceWatch("room", roster);
  onDispose(await presence.watch("room", roster));
  onDispose(() => watching.end());
  roster.missed();
  return () => watching.next();
}

async function isNow({ recorder }: Joined, status: "connected" | "degraded"): Promise<void> {
  await recorder.until(() => recorder.statuses.at(-1) === status);
}

test("what happened while a watcher was cut off is told when it is back", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  const b = await join(port, "b");
  for (const user of ["alice", "bob"]) await a.presence.enter("room", user);
  const next = await watch(b);
  const snapshot = await next();
  expect(snapshot?.type === "snapshot" && [...snapshot.users].sort()).toEqual(["alice", "bob"]);
  b.proxy.cut();
  await isNow(b, "degraded");
  await a.presence.exit("room", "alice");
  await a.presence.enter("room", "carol");
  b.proxy.restore();
  expect(await next()).toEqual({ type: "join", user: "carol", room: "room" });
  expect(await next()).toEqual({ type: "leave", user: "alice", room: "room" });
});

test("a watch that begins while Redis is away tells who is there when it comes", async () => {
  const { port } = await startRedis();
  const a = await join(port, "a");
  const b = await join(port, "b");
  b.proxy.cut();
  await isNow(b, "degraded");
  const next = await watch(b);
  await a.presence.enter("room", "alice");
  b.proxy.restore();
  expect(await next()).toEqual({ type: "snapshot", users: ["alice"] });
});

test("a Redis that comes back empty: who stayed is not told gone, and who did not is", async () => {
  const server = await startRedis();
  const a = await join(server.port, "a");
  const b = await join(server.port, "b");
  const c = await join(server.port, "c");
  await a.presence.enter("room", "stays");
  await c.presence.enter("room", "goes");
  const next = await watch(b);
  await next();
  for (const { proxy } of [a, c]) proxy.cut();
  await server.kill();
  await isNow(b, "degraded");
  await startRedis(server.port);
  await isNow(b, "connected");
  // By now b could compare, and nobody but itself has told this Redis anything.
  a.proxy.restore();
  await isNow(a, "connected");
  expect(await next()).toEqual({ type: "leave", user: "goes", room: "room" });
  await a.presence.enter("room", "carol");
  expect(await next()).toEqual({ type: "join", user: "carol", room: "room" });
});

test("garbage on a channel of changes is passed over", async () => {
  const { port, url } = await startRedis();
  const a = await join(port, "a");
  const next = await watch(a);
  await next();
  const redis = createClient({ url });
  await redis.connect();
  onDispose(() => redis.destroy());
  const garbage = ["", "+", "alice", "+{", Buffer.from([0x2b, 0xff, 0x0a])];
  for (const message of garbage) await redis.publish("ws:changes:room:room", message);
  await a.presence.enter("room", "alice");
  expect(await next()).toEqual({ type: "join", user: "alice", room: "room" });
});

test("watchers compare a number again and again, and list only when a message was lost", async () => {
  let listener: (message: Buffer) => boolean = () => false;
  const listen = async (_channel: string, listening: typeof listener) => {
    listener = listening;
    return () => {};
  };
  const changes = new Changes(listen, LEASE_MS, 50);
  let told = 5;
  let asked = 0;
  const seen: string[] = [];
  const lastTold = async () => {
    asked++;
    return told;
  };
  await changes.watch([{ channel: "channel", lastTold }], {
    changed: (user, present) => seen.push(`${present ? "+" : "-"}${user}`),
    missed: () => seen.push("missed"),
  });
  onDispose(() => changes.stop());
  const say = (text: string): boolean => listener(Buffer.from(text));
  const comparedAgain = async (): Promise<void> => {
    const before = asked;
    await expect.poll(() => asked).toBeGreaterThan(before + 1);
  };
  told = 9;
  expect([say("+alice\n5\n7"), say("+bob\n7\n9")]).toEqual([true, true]);
  await comparedAgain();
  expect(seen).toEqual(["+alice", "+bob"]);
  // The last one was lost: it is found by comparing.
  told = 12;
  await comparedAgain();
  expect(seen.splice(0)).toEqual(["+alice", "+bob", "missed"]);
  // One in between was lost: the next one shows it.
  told = 20;
  say("-bob\n15\n20");
  expect(seen.splice(0)).toEqual(["-bob", "missed"]);
  await comparedAgain();
  // The last to go leaves an empty place, where all begins anew.
  told = 0;
  say("-alice\n20\n0");
  await comparedAgain();
  told = 30;
  say("+carol\n0\n30");
  await comparedAgain();
  expect(seen).toEqual(["-alice", "+carol"]);
});

test("a new connection costs a watcher of a room one number, however many are in it", async () => {
  const { port, url } = await startRedis();
  const [a, b] = [await join(port, "a"), await join(port, "b")];
  const users = Array.from({ length: 2000 }, (_, i) => `user ${i}`);
  await Promise.all(users.map((user) => a.presence.enter("room", user)));
  const next = await watch(b);
  expect((await next())?.type).toBe("snapshot");
  const redis = createClient({ url });
  await redis.connect();
  onDispose(() => redis.destroy());
  const scans = async (): Promise<number> => {
    const stats = await redis.info("commandstats");
    return Number(/cmdstat_hscan:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  const before = await scans();
  b.proxy.cut();
  await isNow(b, "degraded");
  b.proxy.restore();
  await isNow(b, "connected");
  await wait(300);
  expect(await scans()).toBe(before);
  b.proxy.cut();
  await isNow(b, "degraded");
  await a.presence.exit("room", "user 7");
  b.proxy.restore();
  expect(await next()).toEqual({ type: "leave", user: "user 7", room: "room" });
  expect(await scans()).toBeGreaterThan(before);
});
