import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageRate } from "../../src/limits/message-rate.ts";
import { TokenBucket } from "../../src/limits/token-bucket.ts";

const steps = fc.array(fc.nat(2000), { minLength: 1, maxLength: 300 });

describe("a token bucket", () => {
  test("never lets more through than the burst and what the time allows", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 100 }),
        steps,
        (perSecond, burst, waits) => {
          const bucket = new TokenBucket(perSecond, burst, 0);
          let now = 0;
          let passed = 0;
          for (const wait of waits) {
            now += wait;
            if (bucket.take(now)) passed++;
            expect(passed).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-6);
          }
        },
      ),
    );
  });

  test("lets everything through that keeps to the rate", () => {
    const bucket = new TokenBucket(10, 1, 0);
    for (let i = 1; i <= 100; i++) expect(bucket.take(i * 101)).toBe(true);
  });

  test("goes on when the clock is set back", () => {
    const bucket = new TokenBucket(10, 1, 1_000_000);
    expect(bucket.take(1_000_000)).toBe(true);
    expect(bucket.take(0)).toBe(false);
    expect(bucket.take(200)).toBe(true);
  });
});

describe("a message rate", () => {
  test("warns once, drops for a moment, then calls it a flood", () => {
    const rate = new MessageRate(3, 2, 0);
    const verdicts = Array.from({ length: 8 }, () => rate.judge(0));
    expect(verdicts).toEqual(["pass", "pass", "warn", "drop", "drop", "flood", "flood", "flood"]);
  });

  test("forgives who has calmed down, and only them", () => {
    const rate = new MessageRate(1, 1, 0);
    expect([rate.judge(0), rate.judge(0)]).toEqual(["pass", "warn"]);
    expect([rate.judge(1000), rate.judge(1001)]).toEqual(["pass", "warn"]);
    expect(rate.judge(1002)).toBe("flood");
  });
});

test("a large message counts for several, and one that is larger than a burst for a whole one", () => {
  const rate = new MessageRate(50, 100, 0);
  expect(rate.judge(0, 1_048_576)).toBe("pass");
  for (let i = 0; i < 36; i++) expect(rate.judge(0, 16_384)).toBe("pass");
  expect(rate.judge(0, 1)).toBe("warn");
  // Dropped ones are work too.
  expect(rate.judge(0, 1_048_576)).toBe("flood");
  const slow = new MessageRate(1, 2, 0);
  expect(slow.judge(0, 1_048_576)).toBe("pass");
  expect(slow.judge(0, 1)).toBe("warn");
  expect(slow.judge(2000, 1_048_576)).toBe("pass");
});
