import fc from "fast-check";
import { expect, test } from "vitest";
import { afterClose } from "../../web/src/chat/reconnect.ts";

const attempts = fc.integer({ min: 1, max: 50 });
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test.each([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4401, 4403, 4409, 4500, 4999])(
  "close code %i is final, and the reader is told why",
  (code) => {
    const step = afterClose({ code, attempt: 1, random: 0.5 });
    expect(step).toEqual({ stop: expect.stringMatching(/\.$/) });
  },
);

test.each([1001, 1005, 1006, 1012, 4000, 4408, 4413, 4499])(
  "after close code %i it comes back, within 30 seconds and spread",
  (code) => {
    fc.assert(
      fc.property(attempts, randoms, (attempt, random) => {
        const step = afterClose({ code, attempt, random });
        expect(step).toEqual({ retryInMs: expect.any(Number) });
        if (!("retryInMs" in step)) return;
        const longest = Math.min(30_000, 1_000 * 2 ** (attempt - 1));
        expect(step.retryInMs).toBeLessThanOrEqual(longest);
        expect(step.retryInMs).toBeGreaterThanOrEqual(longest / 2);
      }),
    );
  },
);

test("a server that is restarting chooses the window its clients come back in", () => {
  fc.assert(
    fc.property(randoms, fc.integer({ min: 1, max: 60_000 }), (random, spreadMs) => {
      const step = afterClose({ code: 1012, attempt: 1, random, spreadMs });
      expect(step).toEqual({ retryInMs: random * spreadMs });
    }),
  );
});

test("a server that fails again and again is left alone after five attempts", () => {
  const step = (attempt: number) => afterClose({ code: 1011, attempt, random: 0 });
  expect(step(5)).toHaveProperty("retryInMs");
  expect(step(6)).toHaveProperty("stop");
});

test("an overloaded server gets 5 seconds, one that was flooded 10", () => {
  fc.assert(
    fc.property(attempts, randoms, (attempt, random) => {
      const wait = (code: number) => {
        const step = afterClose({ code, attempt, random });
        return "retryInMs" in step ? step.retryInMs : 0;
      };
      expect(wait(1013)).toBeGreaterThanOrEqual(5_000);
      expect(wait(4429)).toBeGreaterThanOrEqual(10_000);
    }),
  );
});

test("with too many connections it tries once more after a lease", () => {
  expect(afterClose({ code: 4008, attempt: 1, random: 0.3 })).toEqual({ retryInMs: 15_000 });
  expect(afterClose({ code: 4008, attempt: 2, random: 0.3 })).toHaveProperty("stop");
});
