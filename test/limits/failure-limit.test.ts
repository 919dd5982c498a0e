import { expect, test } from "vitest";
import { FailureLimit } from "../../src/limits/failure-limit.ts";

test("who fails too often has to wait until the minute since the first time is over", () => {
  const limit = new FailureLimit(5, 60_000);
  for (let i = 0; i < 5; i++) {
    expect(limit.wait("a", i)).toBe(0);
    limit.fail("a", i);
  }
  expect(limit.wait("a", 1000)).toBe(59_000);
  expect(limit.wait("b", 1000)).toBe(0);
  expect(limit.wait("a", 60_000)).toBe(0);
  limit.fail("a", 60_000);
  expect(limit.wait("a", 60_001)).toBe(0);
});

test("very many who fail cost bounded memory: the oldest is forgotten", () => {
  const limit = new FailureLimit(1, 60_000);
  for (let i = 0; i <= 10_000; i++) limit.fail(`address ${i}`, 0);
  expect(limit.wait("address 0", 1)).toBe(0);
  expect(limit.wait("address 1", 1)).toBe(59_999);
});
