import { expect, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { startRedisServer } from "../../support/redis-server.ts";

const onDispose = useDisposals();

/** Starts an instance on a Redis with this configuration; resolves when something was reported. */
async function reported(
  config: readonly string[],
  url: (port: number) => string = (port) => `redis://127.0.0.1:${port}`,
): Promise<Recorder> {
  const server = await startRedisServer({ config });
  onDispose(server.dispose);
  const recorder = new Recorder("a");
  const attachment = redisBackplane({ url: url(server.port) }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  await recorder.until(() => recorder.troubles.length > 0);
  return recorder;
}

test("a Redis that wants a password says so once, and where to set it", async () => {
  const { troubles, statuses } = await reported(["requirepass secret"]);
  expect(troubles).toEqual([
    "ConfigurationError: Redis wants a password: set it in the URL, redis://:password@host.",
  ]);
  expect(statuses).toEqual([]);
});

test("a wrong password is told without being shown", async () => {
  const { troubles } = await reported(
    ["requirepass secret"],
    (port) => `redis://:wrong-one@127.0.0.1:${port}`,
  );
  expect(troubles.join()).toMatch(/refuses the user or password in its URL/);
  expect(troubles.join()).not.toContain("wrong-one");
});

test("a user who may not use our channels is told what is missing", async () => {
  const { troubles, statuses } = await reported(
    ["user app on >pw ~* resetchannels +@all"],
    (port) => `redis://app:pw@127.0.0.1:${port}`,
  );
  expect(troubles.join()).toMatch(/lacks a permission: NOPERM .*&ws:\*/);
  expect(statuses).toEqual([]);
});

test("the permissions that are named suffice", async () => {
  const server = await startRedisServer({
    config: [
      "user app on >pw ~ws:* &ws:* +@read +@write +@pubsub +@scripting +@connection +info +time",
      "maxmemory-policy noeviction",
    ],
  });
  onDispose(server.dispose);
  const recorder = new Recorder("a");
  const url = `redis://app:pw@127.0.0.1:${server.port}`;
  const attachment = redisBackplane({ url }).attach(recorder);
  onDispose(() => attachment.stop());
  await attachment.start();
  const { presence } = attachment;
  await presence.online("alice", { connectedAt: 1, metadata: {} });
  await presence.enter("room", "alice");
  expect(await presence.onlineCount()).toBe(1);
  await presence.withdraw();
  expect(recorder.troubles).toEqual([]);
  expect(recorder.statuses).toEqual(["connected"]);
});

test("a Redis that may throw data away is used, with a warning", async () => {
  const { troubles, statuses } = await reported(["maxmemory-policy allkeys-lru"]);
  expect(troubles.join()).toMatch(/maxmemory-policy is allkeys-lru/);
  expect(statuses).toEqual(["connected"]);
});

test("options that are wrong are named", () => {
  expect(() => redisBackplane({ url: "http://:secret@localhost" })).toThrow(
    new TypeError("url must be a URL that begins with redis:// or rediss://."),
  );
  expect(() => redisBackplane({ prefix: "ws:{a}:" })).toThrow(/prefix must be .* not "ws:\{a\}:"/);
  expect(() => redisBackplane({ leaseMs: 10 })).toThrow(RangeError);
  expect(() => redisBackplane({ leaseMs: Number.NaN })).toThrow(/leaseMs/);
});
