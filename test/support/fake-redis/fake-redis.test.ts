import { createClient } from "@redis/client";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { useDisposals } from "../disposals.ts";
import { startRedisServer } from "../redis-server.ts";
import { FakeRedis } from "./fake-redis.ts";
import { Failure, type Reply, Status } from "./keyspace.ts";

const onDispose = useDisposals();
const CALM = { delay: [0, 0], late: [0, 0], arrivesLate: 0 } as const;

const key = fc.constantFrom("a", "b", "c");
const field = fc.constantFrom("x", "y", "");
const value = fc.constantFrom("1", "-2", "text", "é", "");
const score = fc.integer({ min: -3, max: 3 }).map(String);
const bound = fc.oneof(
  score,
  score.map((text) => `(${text}`),
  fc.constantFrom("-inf", "+inf"),
);
const index = fc.integer({ min: -3, max: 3 }).map(String);
const the = <T>(name: T): fc.Arbitrary<T> => fc.constant(name);

const command: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(the("SET"), key, value),
  fc.tuple(the("SET"), key, value, the("NX"), the("GET")),
  fc.tuple(the("SET"), key, value, the("PX"), the("100000")),
  fc.tuple(fc.constantFrom("GET", "DEL", "EXISTS", "TYPE", "HLEN", "SCARD", "ZCARD"), key),
  fc.tuple(the("PEXPIRE"), key, the("100000")),
  fc.tuple(the("HSET"), key, field, value),
  fc.tuple(the("HSETNX"), key, field, value),
  fc.tuple(the("HINCRBY"), key, field, score),
  fc.tuple(
    fc.constantFrom("HGET", "HEXISTS", "HDEL", "SADD", "SREM", "ZREM", "ZSCORE"),
    key,
    field,
  ),
  fc.tuple(fc.constantFrom("HMGET", "HDEL"), key, field, field),
  fc.tuple(the("HSCAN"), key, the("0"), the("COUNT"), the("1000")),
  fc.tuple(the("SSCAN"), key, the("0"), the("COUNT"), the("1000")),
  fc.tuple(fc.constantFrom("HGETALL", "SMEMBERS"), key),
  fc.tuple(the("ZADD"), key, score, field),
  fc.tuple(the("ZADD"), key, fc.constantFrom("XX", "NX"), score, field),
  fc.tuple(the("ZRANGE"), key, index, index, the("WITHSCORES")),
  fc.tuple(
    the("ZRANGEBYSCORE"),
    key,
    bound,
    bound,
    the("WITHSCORES"),
    the("LIMIT"),
    the("0"),
    the("2"),
  ),
);

/** As texts and numbers, in an order of its own where Redis has none. */
function shown(name: string, reply: unknown): unknown {
  if (reply instanceof Failure || reply instanceof Error) return reply.message.split(" ")[0];
  if (reply instanceof Status) return reply.text;
  if (!Array.isArray(reply)) return reply;
  const items = reply.map((item) => shown(name, item));
  if (name.endsWith("SCAN")) return items.flat().sort();
  return name === "SMEMBERS" || name === "HGETALL" ? items.sort() : items;
}

test("commands answer as those of a real server do, alone and from a script", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const real = createClient({ url: server.url, RESP: 2 });
  await real.connect();
  onDispose(() => real.destroy());
  const random = new Seeded(1);
  const clock = new VirtualClock(random);
  const script = "return redis.pcall(unpack(ARGV))";
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
      await real.flushAll();
      const fake = new FakeRedis(clock, random, CALM);
      for (const [i, each] of commands.entries()) {
        const [name = "", ...args] = each;
        const scripted = i % 2 === 0 && !name.includes("SCAN");
        const sent = scripted ? ["EVAL", script, "0", ...each] : each;
        const expected: unknown = await real.sendCommand(sent).catch((error: unknown) => error);
        const bytes = (text: string): string => Buffer.from(text).toString("latin1");
        const found: Reply = scripted
          ? fake.execute("EVAL", [script, "0", ...each].map(bytes), null)
          : fake.execute(name, args.map(bytes), null);
        expect([each, shown(name, utf8(found))]).toEqual([each, shown(name, expected)]);
      }
    }),
    { numRuns: 300 },
  );
});

function utf8(reply: Reply): unknown {
  if (typeof reply === "string") return Buffer.from(reply, "latin1").toString();
  return Array.isArray(reply) ? reply.map(utf8) : reply;
}

test("values that scripts answer become what Redis makes of them", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const real = createClient({ url: server.url, RESP: 2 });
  await real.connect();
  onDispose(() => real.destroy());
  const clock = new VirtualClock(new Seeded(1));
  const fake = new FakeRedis(clock, new Seeded(1), CALM);
  for (const body of [
    "return 3.9",
    "return {1, 'two', {3, false, 4}, true}",
    "return {1, nil, 2}",
    "return redis.call('SET', KEYS[1], ARGV[1] / 2)",
    "return redis.call('GET', KEYS[1])",
    "return {err = 'MINE own'}",
    "error('thrown')",
    "return redis.call('INCR')",
    "return 1e15 + 1",
    "redis.call('SET', KEYS[1], 1e15 + 1) return redis.call('GET', KEYS[1])",
    "return tonumber('12') * 1000 + tonumber(ARGV[1])",
    "return tostring(#KEYS) .. ARGV[1]",
    "return string.format('%d-%s %.0f', 12, 'x', 1e15 + 1)",
    "return string.match('a:b:c', '^[^:]*') .. string.match('a:b:c', ':(.*)')",
  ]) {
    const sent = ["EVAL", body, "1", "key", "7"];
    const expected: unknown = await real.sendCommand(sent).catch((error: unknown) => error);
    const [name = "", ...args] = sent;
    expect([body, shown("", utf8(fake.execute(name, args, null)))]).toEqual([
      body,
      shown("", expected),
    ]);
  }
});
