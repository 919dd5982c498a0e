import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { RedisLink } from "../../src/backplane/redis/channels.ts";
import { Keys } from "../../src/backplane/redis/keys.ts";
import { clientFactory } from "../../src/backplane/redis/net/client-factory.ts";
import { RedisHistory } from "../../src/backplane/redis/redis-history.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();
const keys = new Keys("ws:");

async function onRedis(server: RedisServer): Promise<{
  history: RedisHistory;
  received: Recorder["received"];
  recorder: Recorder;
}> {
  const recorder = new Recorder("a");
  const link = new RedisLink(clientFactory({ url: server.url }, "a"), keys, recorder, "a#1", {
    joining: async () => {},
    living: async () => 0,
    told: () => true,
    trouble: (error) => void recorder.troubles.push(String(error)),
  });
  onDispose(() => link.stop());
  await link.start();
  await link.broker.subscribe("room:a");
  const history = new RedisHistory(keys, link.broker, link.scripts);
  return { history, received: recorder.received, recorder };
}

async function startRedis(): Promise<RedisServer> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  return server;
}

const packet = { type: "message", message: EncodedMessage.from("x"), except: null } as const;
const policy = { maxLength: 10, ttlMs: 60_000 };

test("an append while Redis is hung or gone rejects, says what is known, and delivers nothing here", async () => {
  const server = await startRedis();
  const { history, received, recorder } = await onRedis(server);
  server.stop();
  const hung = history.append("room:a", packet, policy);
  await expect(hung).rejects.toThrow(BackplaneUnavailableError);
  await expect(hung).rejects.toMatchObject({ outcome: "unknown" });
  await server.kill();
  await recorder.until(() => recorder.statuses.at(-1) === "degraded");
  const gone = history.append("room:a", packet, policy);
  await expect(gone).rejects.toMatchObject({ outcome: "not-stored" });
  expect(received).toEqual([]);
});

test("with minReplicas an append resolves when replicas have it, and says so when they do not", async () => {
  const primary = await startRedisServer({ config: ["repl-diskless-sync-delay 0"] });
  onDispose(primary.dispose);
  const replica = await startRedisServer({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
  onDispose(replica.dispose);
  const copy = createClient({ url: replica.url });
  await copy.connect();
  onDispose(() => copy.destroy());
  const { history } = await onRedis(primary);
  const durable = { ...policy, minReplicas: 1 };
  await expect.poll(() => copy.info("replication")).toMatch(/master_link_status:up/);
  const { id } = await history.append("room:a", packet, durable);
  expect(await copy.get("ws:log-end:room:a")).toBe(id);
  await expect(history.append("room:a", packet, { ...policy, minReplicas: 2 })).rejects.toThrow(
    "1 of 2 replicas have the message.",
  );
  replica.stop();
  const late = history.append("room:a", packet, durable);
  await expect(late).rejects.toMatchObject({ outcome: "unknown" });
  // Others are not held up by that, however many wait.
  let waiting = 100;
  const many = Array.from({ length: waiting }, () =>
    history.append("room:a", packet, durable).catch(() => waiting--),
  );
  await history.append("room:b", packet, policy);
  for (let i = 0; i < 20; i++) await history.append("room:b", packet, policy);
  expect(waiting).toBe(100);
  await Promise.all(many);
  replica.cont();
  await expect
    .poll(() => history.append("room:a", packet, durable).catch(String))
    .toMatchObject({ scope: "cluster" });
});

test("scripts that Redis has forgotten are sent again", async () => {
  const server = await startRedis();
  const { history } = await onRedis(server);
  await history.append("room:a", packet, policy);
  const client = createClient({ url: server.url });
  await client.connect();
  onDispose(() => client.destroy());
  await client.scriptFlush();
  const { id } = await history.append("room:a", packet, policy);
  expect((await history.read("room:a", "0", 10)).entries.at(-1)?.id).toBe(id);
});

test("entries that somebody else wrote are passed over", async () => {
  const server = await startRedis();
  const { history } = await onRedis(server);
  const client = createClient({ url: server.url });
  await client.connect();
  onDispose(() => client.destroy());
  await client.xAdd("ws:log:room:a", "1-1", { hello: "world" });
  await client.xAdd("ws:log:room:a", "1-2", { prev: "0", nonce: "n", packet: "\u0000garbage" });
  const { id } = await history.append("room:a", packet, policy);
  const { entries } = await history.read("room:a", "0", 10);
  expect(entries.at(-1)?.id).toBe(id);
});
