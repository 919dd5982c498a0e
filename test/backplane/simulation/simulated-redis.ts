import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import type { SimulatedService } from "../../../src/testing/simulation/presence-simulation.ts";
import type { Seeded } from "../../../src/testing/simulation/seeded.ts";
import type { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const WEATHER = { delay: [0.1, 3], late: [1, 4000], arrivesLate: 0.5 } as const;

/** What is left to expire by itself. */
const EXPIRING = new Set(["ws:cluster", "ws:buried", "ws:doubts"]);

/** A Redis to which everything happens that may happen to one. */
export function simulatedRedis(
  clock: VirtualClock,
  random: Seeded,
  leaseMs: number,
): SimulatedService & { readonly redis: FakeRedis } {
  const redis = new FakeRedis(clock, random, WEATHER);
  /** What a replica has that lags behind. */
  let replica = redis.keyspace.snapshot();
  /** Who was there then: an incarnation that has ended since would come back, and its end would be told twice. */
  let there = "";
  const incarnations = (): string =>
    [redis.keyspace.run("ZRANGE", ["ws:instances", "0", "-1"])].flat().sort().join();
  const disturbances = {
    break: (instance: string) => redis.break(instance),
    cut: (instance: string, ms: number) => {
      redis.cut(instance);
      clock.after(ms, () => redis.heal(instance), "network");
    },
    freeze: (instance: string, ms: number) => clock.freeze(instance, ms),
    hang: (_instance: string, ms: number) => redis.hang(ms),
    flush: () => redis.flush(),
    restart: () => redis.restart(),
    "lag behind": () => {
      replica = redis.keyspace.snapshot();
      there = incarnations();
    },
    "fail over": () => {
      if (there === incarnations()) redis.restart(replica);
    },
    full: (_instance: string, ms: number) => {
      redis.fill(true);
      clock.after(ms, () => redis.fill(false), "network");
    },
  };
  return {
    redis,
    disturbances: only(disturbances),
    losses: new Set(["flush", "restart", "fail over"]),
    backplane: (instance) => redisBackplane({ client: redis.client(instance), leaseMs }),
    calm: () => {
      for (const instance of ["a", "b"]) redis.heal(instance);
      redis.fill(false);
      redis.hang(0);
    },
    leftovers: () => redis.keyspace.keys().filter((key) => !EXPIRING.has(key)),
  };
}

type Disturbances = SimulatedService["disturbances"];

/** Those that `DISTURB` names, to look into a failure; all without it. */
function only(disturbances: Disturbances): Disturbances {
  const names = process.env.DISTURB?.split(",");
  return Object.fromEntries(
    Object.entries(disturbances).filter(([name]) => names?.includes(name) ?? true),
  );
}
