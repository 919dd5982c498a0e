import fc from "fast-check";
import { expect, test } from "vitest";
import { Latencies } from "../../src/meters/latencies.ts";

test("percentiles are right to 3 %, and the greatest is exact", () => {
  const times = fc.array(fc.double({ min: 0.01, max: 100_000, noNaN: true }), {
    minLength: 1,
    maxLength: 300,
  });
  fc.assert(
    fc.property(times, fc.double({ min: 0.001, max: 1, noNaN: true }), (all, share) => {
      const latencies = new Latencies();
      for (const ms of all) latencies.add(ms);
      const sorted = [...all].sort((a, b) => a - b);
      const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
      expect(latencies.percentile(share)).toBeGreaterThanOrEqual(exact * 0.999);
      expect(latencies.percentile(share)).toBeLessThanOrEqual(exact * 1.03);
      expect(latencies.max).toBe(sorted.at(-1));
      expect(latencies.count).toBe(all.length);
      expect(latencies.between(0, 200_000)).toBe(all.length);
    }),
  );
});

test("of nothing there is nothing to tell", () => {
  expect(new Latencies().percentile(0.99)).toBe(0);
});
