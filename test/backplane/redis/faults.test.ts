import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import {
  type RedisBackplaneOptions,
  redisBackplane,
} from "../../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { useDisposals } from "../../support/disposals.ts";
import { freePort } from "../../support/free-port.ts";
import { type ManagerServer, startManager } from "../../support/manager-server.ts";
import { Recorder } from "../../support/recorder.ts";
import {
  type RedisServer,
  type RedisServerOptions,
  startRedisServer,
} from "../../support/redis-server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();

async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await startRedisServer(options);
  onDispose(server.dispose);
  return server;
}

/** A client to give orders with. */
async function connect(url: string): Promise<Client> {
  const client = createClient({ url }) as Client;
  client.on("error", () => {});
  await client.connect();
  onDispose(() => client.destroy());
  return client;
}

async function attach(
  options: RedisBackplaneOptions,
): Promise<Attachment & { recorder: Recorder }> {
  const recorder = new Recorder("a");
  const attachment = redisBackplane(options).attach(recorder);
  onDispose(() => attachment.stop());
  return Object.assign(attachment, { recorder });
}

async function start(options: RedisBackplaneOptions): Promise<Attachment & { recorder: Recorder }> {
  const attachment = await attach(options);
  await attachment.start();
  return attachment;
}

async function isNow(recorder: Recorder, status: "connected" | "degraded"): Promise<void> {
  await recorder.until(() => recorder.statuses.at(-1) === status);
}

function message(text: string): { type: "message"; message: EncodedMessage; except: null } {
  return { type: "message", message: EncodedMessage.from(text), except: null };
}

/** A manager with a client in the room, and what it was told of errors. */
async function startMember(
  options: RedisBackplaneOptions,
): Promise<{ instance: ManagerServer; next(): Promise<unknown>; errors: string[] }> {
  const instance = await startManager({ backplane: redisBackplane(options), start: false });
  onDispose(instance.dispose);
  const errors: string[] = [];
  instance.manager.on("error", (error) => errors.push(String(error)));
  await instance.manager.start();
  const { client, connection } = await instance.connect("alice");
  await connection.join("room");
  return { instance, next: () => client.next(), errors };
}

async function becomes({ manager }: ManagerServer, status: "healthy" | "degraded"): Promise<void> {
  if (manager.status === status) return;
  await new Promise<void>((resolve) => {
    const end = manager.on("status", (change) => {
      if (change.status !== status) return;
      end();
      resolve();
    });
  });
}

test("a subscriber that is cut off by output limits is back by itself; no client drops", async () => {
  const limit = "client-output-buffer-limit pubsub 64kb 64kb 0";
  const { url } = await startRedis({ config: [limit] });
  const { instance, next } = await startMember({ url });
  // Every subscriber is sent more at once than it may be behind.
  const big = "x".repeat(1_000_000);
  const redis = await connect(url);
  await redis.publish("ws:room:room", big);
  await becomes(instance, "degraded");
  await becomes(instance, "healthy");
  expect(await instance.manager.broadcastToRoom("room", "after")).toEqual({
    scope: "cluster",
    localRecipients: 1,
  });
  expect(await next()).toBe("after");
});

test("a subscription that is lost in silence is found by the canary, and the subscriber rebuilt", async () => {
  const { port } = await startRedis();
  let deaf = true;
  const proxy = await startTcpProxy(port, {
    // What the instance subscribes to is not what it asked for, and nobody says so to it.
    toServer: (bytes) =>
      deaf && bytes.includes("subscribe")
        ? replaced(bytes, "ws:instance:a", "ws:instance:_")
        : bytes,
    toClient: (bytes) => (deaf ? replaced(bytes, "ws:instance:_", "ws:instance:a") : bytes),
  });
  onDispose(proxy.dispose);
  const { recorder, broker } = await start({ url: `redis://127.0.0.1:${proxy.port}` });
  await isNow(recorder, "connected");
  await isNow(recorder, "degraded");
  expect(recorder.troubles).toEqual(["Error: Redis lost a subscription without saying so."]);
  deaf = false;
  await isNow(recorder, "connected");
  await broker.subscribe("room:x");
  expect(await broker.publish("room:x", message("heard"))).toEqual({
    scope: "cluster",
    localRecipients: 1,
  });
});

test("a channel permission that is revoked shows in health and as an error, and mends when it is given back", async () => {
  const rights = "+@all ~* allchannels";
  const { port } = await startRedis({ config: [`user app on >pw ${rights}`] });
  const { instance, next, errors } = await startMember({ url: `redis://app:pw@127.0.0.1:${port}` });
  const redis = await connect(`redis://127.0.0.1:${port}`);
  await redis.sendCommand(["ACL", "SETUSER", "app", "resetchannels"]);
  await becomes(instance, "degraded");
  await expect.poll(() => errors.join()).toMatch(/lacks a permission: NOPERM/);
  expect(await instance.manager.health()).toMatchObject({
    status: "degraded",
    redis_connected: false,
  });
  expect(await instance.manager.broadcastToRoom("room", "alone")).toEqual({
    scope: "instance",
    localRecipients: 1,
  });
  expect(await next()).toBe("alone");
  await redis.sendCommand(["ACL", "SETUSER", "app", "allchannels"]);
  await becomes(instance, "healthy");
});

test("a primary that becomes a replica (READONLY) counts as lost, and says what to do, until there is a primary", async () => {
  const primary = await startRedis();
  const other = await startRedis();
  const { recorder, presence } = await start({ url: primary.url, leaseMs: 1500 });
  await isNow(recorder, "connected");
  const redis = await connect(primary.url);
  await redis.sendCommand(["REPLICAOF", "127.0.0.1", String(other.port)]);
  await isNow(recorder, "degraded");
  await recorder.until(() => recorder.troubles.some((text) => text.includes("takes no writes")));
  expect(recorder.troubles.join()).toMatch(/This Redis is a replica, which takes no writes: name/);
  await redis.sendCommand(["REPLICAOF", "NO", "ONE"]);
  await isNow(recorder, "connected");
  expect((await presence.online("alice", { connectedAt: 1, metadata: {} })).first).toBe(true);
});

test("a Redis that is too old is refused at the start, with what is needed", async () => {
  const { port } = await startRedis();
  const proxy = await startTcpProxy(port, {
    toClient: (bytes) => replaced(bytes, "redis_version:7", "redis_version:6"),
  });
  onDispose(proxy.dispose);
  const attachment = await attach({ url: `redis://127.0.0.1:${proxy.port}` });
  await expect(attachment.start()).rejects.toThrow(
    /^Redis is 6\.[\d.]+, but must be 7\.0 or newer \(or Valkey 7\.2\)\.$/,
  );
});

test("a manager whose start was refused can still be stopped", async () => {
  const { url } = await startRedis({
    config: ["cluster-enabled yes", `cluster-port ${await freePort()}`],
  });
  const instance = await startManager({ backplane: redisBackplane({ url }), start: false });
  await expect(instance.manager.start()).rejects.toThrow(/node of a Cluster: name some/);
  await instance.dispose();
  expect(instance.manager.status).toBe("draining");
});

test("a URL where nobody listens is told, and the instance goes on by itself", async () => {
  const { recorder, broker } = await start({ url: `redis://127.0.0.1:${await freePort()}` });
  expect(broker.status).toBe("degraded");
  expect(recorder.troubles.join()).toContain("ECONNREFUSED");
});

test("the application's own client is duplicated with its settings, and neither used nor closed", async () => {
  const { url } = await startRedis({ config: ["requirepass secret"] });
  const theirs = createClient({ url, password: "secret" }) as Client;
  theirs.on("error", () => {});
  await theirs.connect();
  onDispose(() => theirs.destroy());
  const listeners = theirs.eventNames().length;
  const recorder = new Recorder("a");
  const attachment = redisBackplane({ client: theirs }).attach(recorder);
  await attachment.start();
  expect(recorder.statuses).toEqual(["connected"]);
  expect(String(await theirs.sendCommand(["CLIENT", "LIST"]))).toMatch(/name=roomcast:a /);
  expect(String(await theirs.sendCommand(["CLIENT", "INFO"]))).not.toContain("name=roomcast");
  await attachment.stop();
  expect(theirs.isOpen).toBe(true);
  expect(theirs.eventNames()).toHaveLength(listeners);
  expect(await theirs.ping()).toBe("PONG");
});

test("garbage in keys of ours harms only what it stands for, and is told", async () => {
  const { url } = await startRedis();
  const { presence, recorder } = await start({ url });
  const redis = await connect(url);
  await redis.set("ws:present:room:broken", "garbage");
  await redis.set("ws:connection:broken", "nobody");
  await presence.online("alice", { connectedAt: 1, metadata: {} });
  const [records = ""] = await redis.keys("ws:records:*");
  for (const [user, entry] of Object.entries({ bob: "no JSON", carol: '{"metadata":1}' })) {
    await redis.hSet(records, `monline\n${user}`, entry);
    await redis.hSet("ws:present:online", user, "1");
  }
  expect(await presence.enter("broken", "alice")).toBe(false);
  expect(recorder.troubles.join()).toContain("WRONGTYPE");
  expect(await presence.enter("room", "alice")).toBe(true);
  expect(await presence.roomUserCount("room")).toBe(1);
  expect(await presence.locate("broken")).toBe(null);
  expect(await presence.get("bob")).toEqual({ online: false, instances: [] });
  expect(await presence.get("carol")).toEqual({ online: false, instances: [] });
  expect((await presence.get("alice")).online).toBe(true);
});

/** The bytes with a text replaced by one that is as long. */
function replaced(bytes: Buffer, text: string, by: string): Buffer {
  return Buffer.from(bytes.toString("latin1").replaceAll(text, by), "latin1");
}
