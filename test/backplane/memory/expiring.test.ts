import fc from "fast-check";
import { expect, test } from "vitest";
import { Expiring } from "../../../src/backplane/memory/expiring.ts";

test("texts are remembered until their time is over", () => {
  const texts = new Expiring();
  texts.set("a", "one", 60_000);
  texts.set("b", "two", 0);
  expect(texts.get("a")).toBe("one");
  expect(texts.get("b")).toBeUndefined();
  texts.set("a", "three", 60_000);
  expect(texts.get("a")).toBe("three");
  texts.delete("a");
  expect(texts.get("a")).toBeUndefined();
  texts.delete("b");
  expect(texts.bytes).toBe(0);
});

test("whatever is set and deleted, they never take more than they may, and the newest is there", () => {
  const change = fc.record({ key: fc.nat(50), length: fc.nat(2000), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      const max = 20_000;
      const texts = new Expiring(max);
      for (const { key, length, remove } of changes) {
        if (remove) texts.delete(`${key}`);
        else {
          texts.set(`${key}`, "x".repeat(length), 60_000);
          expect(texts.get(`${key}`)).toHaveLength(length);
        }
        expect(texts.bytes).toBeLessThanOrEqual(max);
        expect(texts.bytes).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});
