import { describe, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { backplaneContract } from "../../../src/testing/backplane-contract.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const CALM = { delay: [0.05, 0.2], late: [0, 0], arrivesLate: 0 } as const;

// What the simulation stands on is as good as a real Redis, as far as the contract asks.
describe("the backplane on a Redis of the simulation", () => {
  const cases = backplaneContract(() => {
    const { redis } = present;
    return redisBackplane({ client: redis.client("all") });
  });
  let present: { redis: FakeRedis };
  for (const { name, run } of cases) {
    if (name.startsWith("tasks") || name.startsWith("dead letters")) continue;
    test(name, async () => {
      const random = new Seeded(1);
      const clock = new VirtualClock(random);
      present = { redis: new FakeRedis(clock, random, CALM) };
      await clock.run(run);
    });
  }
});
