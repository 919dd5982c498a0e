import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { HistoryStore, LogName } from "../../src/backplane/contract/history-store.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { MemoryLogs } from "../../src/backplane/memory/memory-history.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();
const KIB = 1024;

function packet(text: string) {
  return { type: "message", message: EncodedMessage.from(text), except: null } as const;
}

async function inMemory(maxHistoryBytes: number): Promise<HistoryStore> {
  return memoryBackplane({ maxHistoryBytes }).attach(new Recorder("a")).history;
}

async function onRedis() {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const attachment = redisBackplane({ url: server.url }).attach(new Recorder("a"));
  onDispose(() => attachment.stop());
  await attachment.start();
  const client = createClient({ url: server.url });
  await client.connect();
  onDispose(() => client.destroy());
  return { history: attachment.history, client };
}

async function texts(history: HistoryStore, log: LogName): Promise<string[]> {
  const { entries } = await history.read(log, "0", 10_000);
  return entries.map(({ message }) => message.data.toString());
}

const POLICY = { maxLength: 1_000_000, ttlMs: 60_000 };

test("in memory a log keeps what fits into its bytes, the newest first", async () => {
  const history = await inMemory(64 * KIB * KIB);
  const policy = { ...POLICY, maxBytes: 64 * KIB };
  for (let i = 0; i < 100; i++)
    await history.append("room:a", packet(`${i} `.padEnd(10_000)), policy);
  const kept = (await texts(history, "room:a")).map((text) => text.trim());
  expect(kept).toEqual(["97", "98", "99"]);
});

test("in memory no log takes anything from a stranger's, however full it is", async () => {
  const history = await inMemory(256 * KIB);
  await history.append("room:victim", packet("precious"), POLICY);
  for (let i = 0; i < 1000; i++)
    await history.append("room:flood", packet("x".repeat(5000)), POLICY);
  expect(await texts(history, "room:victim")).toEqual(["precious"]);
  // The victim goes on, on what is its own; who comes now is told that nothing was stored.
  await history.append("room:victim", packet("more"), POLICY);
  expect((await texts(history, "room:victim")).at(-1)).toBe("more");
  const late = history.append("room:late", packet("x".repeat(5000)), POLICY);
  await expect(late).rejects.toThrow(BackplaneUnavailableError);
  await expect(late).rejects.toMatchObject({ outcome: "not-stored" });
});

test("in memory logs nobody wrote to for their time make room", async () => {
  const history = await inMemory(64 * KIB);
  const short = { ...POLICY, ttlMs: 1 };
  await history.append("room:old", packet("x".repeat(20 * KIB)), short);
  await expect
    .poll(() => history.append("room:new", packet("x".repeat(20 * KIB)), POLICY).catch(String))
    .toMatchObject({ scope: "cluster" });
});

test("what a log counts is at least what it takes of memory, for small messages and many logs", () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const used = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  for (const [rooms, each, size] of [
    [1, 50_000, 10],
    [30_000, 1, 10],
    [1, 5000, 3000],
  ] as const) {
    const budget = 48 * KIB * KIB;
    const logs = new MemoryLogs(budget);
    const before = used();
    let stored = 0;
    for (let room = 0; room < rooms; room++) {
      for (let i = 0; i < each; i++) {
        try {
          logs.append(`room:${room}`, packet("x".repeat(size)), POLICY);
          stored++;
        } catch {
          // Full, which is the point.
        }
      }
    }
    expect(stored).toBeGreaterThan(0);
    expect(used() - before).toBeLessThan(budget);
    expect(logs.end("room:0")).not.toBe("0");
  }
});

test("on Redis a log keeps what fits into its bytes, the newest first, and frees the rest", async () => {
  const { history, client } = await onRedis();
  const policy = { ...POLICY, maxBytes: 256 * KIB };
  for (let i = 0; i < 200; i++)
    await history.append("room:a", packet(`${i} `.padEnd(10_000)), policy);
  const kept = (await texts(history, "room:a")).map((text) => Number(text));
  expect(kept.at(-1)).toBe(199);
  expect(kept).toEqual(kept.map((_, i) => 200 - kept.length + i));
  expect(kept.length).toBeGreaterThan(15);
  expect(Number(await client.memoryUsage("ws:log:room:a", { SAMPLES: 0 }))).toBeLessThan(300 * KIB);

  // What was stored small counts too.
  for (let i = 0; i < 5000; i++) await history.append("room:b", packet("x"), policy);
  expect(Number(await client.memoryUsage("ws:log:room:b", { SAMPLES: 0 }))).toBeLessThan(300 * KIB);
  // One that an older version began is counted from what it is.
  await client.del("ws:log-bytes:room:a");
  await history.append("room:a", packet("new"), { ...policy, maxBytes: 64 * KIB });
  expect(Number(await client.memoryUsage("ws:log:room:a", { SAMPLES: 0 }))).toBeLessThan(96 * KIB);
  expect((await texts(history, "room:a")).at(-1)).toBe("new");
});

test.each(["memory", "Redis"])(
  "in %s idempotency keys of rooms with spaces are apart",
  async (where) => {
    const history = where === "memory" ? await inMemory(64 * KIB) : (await onRedis()).history;
    const first = await history.append("room:a b", packet("1"), POLICY, "c");
    const second = await history.append("room:a", packet("2"), POLICY, "b c");
    expect(second.id).not.toBe(first.id);
    expect(await texts(history, "room:a")).toEqual(["2"]);
    expect((await history.append("room:a", packet("3"), POLICY, "b c")).id).toBe(second.id);
  },
);
