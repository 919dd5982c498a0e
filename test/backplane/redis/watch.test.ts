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

test("watchers compare again and again, for a message that is lost is told by nobody", async () => {
  const changes = new Changes(async () => () => {}, LEASE_MS, 50);
  let compared = 0;
  await new Promise<void>((resolve) => {
    const missed = (): void => {
      compared++;
      if (compared === 3) resolve();
    };
    void changes.watch(["channel"], { changed: () => {}, missed });
  });
  changes.stop();
  expect(compared).toBe(3);
});
