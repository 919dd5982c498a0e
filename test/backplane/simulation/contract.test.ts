import { describe, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { backplaneContract } from "../../../src/testing/backplane-contract.ts";
import type { FaultyBackplane } from "../../../src/testing/fault-contract.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const CALM = { delay: [0.05, 0.2], late: [0, 0], arrivesLate: 0 } as const;

const LEASE_MS = 2000;

// What the simulation stands on is as good as a real Redis, as far as the contract asks.
describe("the backplane on a Redis of the simulation", () => {
  let redis: FakeRedis;
  let clock: VirtualClock;
  const faulty = (): FaultyBackplane => ({
    leaseMs: LEASE_MS,
    backplane: (id) => redisBackplane({ client: redis.client(id), leaseMs: LEASE_MS }),
    cut: (id) => redis.cut(id),
    heal: (id) => redis.heal(id),
    wipe: () => redis.flush(),
    freeze: async (ms) => {
      redis.hang(ms);
      await clock.sleep(ms);
    },
  });
  const cases = backplaneContract(() => redisBackplane({ client: redis.client("all") }), faulty);
  for (const { name, run } of cases) {
    if (name.startsWith("tasks") || name.startsWith("dead letters")) continue;
    test(name, async () => {
      const random = new Seeded(1);
      clock = new VirtualClock(random);
      redis = new FakeRedis(clock, random, CALM);
      await clock.run(run);
    });
  }
});
