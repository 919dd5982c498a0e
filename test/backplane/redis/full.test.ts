import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import { HANDLING_MS } from "../../../src/backplane/contract/receipt-store.ts";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../../../src/protocol/errors.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { startRedisServer } from "../../support/redis-server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();
const ENTRY = { connectedAt: 1, metadata: {} };
const packet = { type: "message", message: EncodedMessage.from("x"), except: null } as const;
const policy = { maxLength: 10, ttlMs: 60_000 };

async function join(url: string, id: string): Promise<Attachment & { recorder: Recorder }> {
  const recorder = new Recorder(id);
  const attachment = redisBackplane({ url, leaseMs: 1500 }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  return Object.assign(attachment, { recorder });
}

async function connect(url: string): Promise<Client> {
  const client = createClient({ url }) as Client;
  await client.connect();
  onDispose(() => client.destroy());
  return client;
}

test("a Redis that is full refuses what is new, lets go who leaves, and takes the rest when it has room", async () => {
  const { url, dispose } = await startRedisServer();
  onDispose(dispose);
  const redis = await connect(url);
  const a = await join(url, "a");
  const b = await join(url, "b");
  await a.presence.online("alice", ENTRY);
  await a.presence.enter("room", "alice");
  await redis.configSet("maxmemory", "1");

  const append = a.history.append("room:a", packet, policy);
  await expect(append).rejects.toThrow(BackplaneUnavailableError);
  await expect(append).rejects.toMatchObject({ outcome: "not-stored" });
  expect((await a.presence.online("bob", ENTRY)).first).toBe(false);
  expect(await a.presence.exit("room", "alice")).toBe(true);
  expect(await b.presence.roomUserCount("room")).toBe(0);
  expect(await b.presence.isOnline("alice")).toBe(true);

  // Connections that break meanwhile come back, and leases go on.
  await redis.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  for (const { recorder } of [a, b]) {
    await recorder.until(() => recorder.statuses.length >= 3);
    expect(recorder.statuses.at(-1)).toBe("connected");
  }

  await redis.configSet("maxmemory", "0");
  await a.recorder.until(() => a.recorder.raised.length > 0);
  expect(a.recorder.raised).toEqual([{ type: "online", user: "bob" }]);
  expect(await b.presence.isOnline("bob")).toBe(true);
  expect(b.recorder.raised).toEqual([]);
  expect(a.recorder.troubles.join()).toContain("There is no room left");
});

test("a message that was handled while Redis was away is known to be when it is back", async () => {
  const { port, url, dispose } = await startRedisServer();
  onDispose(dispose);
  const proxy = await startTcpProxy(port);
  onDispose(proxy.dispose);
  const a = await join(`redis://127.0.0.1:${proxy.port}`, "a");
  const b = await join(url, "b");
  for (const key of ["finished", "abandoned"]) {
    expect(await a.receipts.claim(key, "c1")).toEqual({ state: "new" });
  }
  proxy.cut();
  await a.recorder.until(() => a.recorder.statuses.at(-1) === "degraded");
  await expect(a.receipts.finish("finished", "c1", "42")).rejects.toThrow(
    BackplaneUnavailableError,
  );
  await expect(a.receipts.abandon("abandoned", "c1")).rejects.toThrow(BackplaneUnavailableError);
  expect(await b.receipts.claim("finished", "c2")).toEqual({ state: "busy" });
  proxy.restore();
  await expect
    .poll(() => b.receipts.claim("finished", "c2"))
    .toEqual({ state: "done", answer: "42" });
  await expect.poll(() => b.receipts.claim("abandoned", "c2")).toEqual({ state: "new" });
});

test("a message whose taking was not answered may be taken again at once", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const a = await join(server.url, "a");
  server.stop();
  await expect(a.receipts.claim("key", "c1")).rejects.toThrow(BackplaneUnavailableError);
  server.cont();
  const began = performance.now();
  // What was on its way may have taken it; that is given back, and not kept for the time somebody may be at it.
  await expect.poll(() => a.receipts.claim("key", "c1").catch(String)).toEqual({ state: "new" });
  expect(performance.now() - began).toBeLessThan(HANDLING_MS - 1000);
});

test("of 20,000 who leave in one turn while others hold them, nobody is told gone", async () => {
  const { url, dispose } = await startRedisServer();
  onDispose(dispose);
  const a = await join(url, "a");
  const b = await join(url, "b");
  const users = Array.from({ length: 20_000 }, (_, i) => `user ${i}`);
  const enter = async ({ presence }: Attachment): Promise<boolean[]> =>
    Promise.all(users.map((user) => presence.enter("room", user)));
  await enter(a);
  await enter(b);
  const left = await Promise.all(users.map((user) => a.presence.exit("room", user)));
  expect(left.filter(Boolean)).toHaveLength(0);
  await expect.poll(() => b.presence.roomUserCount("room")).toBe(20_000);
  const gone = await Promise.all(users.map((user) => b.presence.exit("room", user)));
  const raised = b.recorder.raised.filter(({ type }) => type === "leave");
  await b.recorder.until(() => b.recorder.raised.length + gone.filter(Boolean).length >= 20_000);
  expect(gone.filter(Boolean).length + raised.length).toBe(20_000);
  expect(a.recorder.raised.filter(({ type }) => type === "leave")).toEqual([]);
});
