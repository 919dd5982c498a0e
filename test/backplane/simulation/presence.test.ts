import { expect, test } from "vitest";
import {
  SimulationError,
  simulatePresence,
} from "../../../src/testing/simulation/presence-simulation.ts";
import { simulatedRedis } from "./simulated-redis.ts";

const LEASE_MS = 3000;

// `SEED` begins elsewhere, `SEEDS` says how many, `DISTURB` which things go wrong; `npm run simulate` runs many. A seed
// takes about 55 ms of one core.
const first = Number(process.env.SEED ?? 1);
const count = Number(process.env.SEEDS ?? 2000);

function simulate(seed: number): Promise<readonly string[]> {
  return simulatePresence({
    seed,
    leaseMs: LEASE_MS,
    make: (clock, random) => simulatedRedis(clock, random, LEASE_MS),
  });
}

test("whatever goes wrong with Redis, everybody is where they are, and each change is told once", {
  timeout: 3_600_000,
}, async () => {
  const failures: SimulationError[] = [];
  for (let seed = first; seed < first + count; seed++) {
    await simulate(seed).catch((error: unknown) => {
      if (!(error instanceof SimulationError)) throw error;
      failures.push(error);
    });
  }
  const [one] = failures;
  if (one === undefined) return;
  const seeds = failures.map(({ seed }) => seed).join(", ");
  throw new Error(`${failures.length} of ${count} fail: ${seeds}. ${one.message}`);
});

test("a seed does the same each time", async () => {
  expect(await simulate(7)).toEqual(await simulate(7));
  expect(await simulate(8)).not.toEqual(await simulate(7));
});
