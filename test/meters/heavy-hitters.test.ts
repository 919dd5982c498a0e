import fc from "fast-check";
import { expect, test } from "vitest";
import { HeavyHitters, mergeHitters, RecentHitters } from "../../src/meters/heavy-hitters.ts";

test("nobody who has more than 1/capacity of the weight is missing, and no count is wrong by more than it says", () => {
  const stream = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 })),
    {
      maxLength: 400,
    },
  );
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 12 }), (added, capacity) => {
      const sketch = new HeavyHitters(capacity);
      const exact = new Map<string, number>();
      let total = 0;
      for (const [number, weight] of added) {
        sketch.add(`name ${number}`, weight);
        exact.set(`name ${number}`, (exact.get(`name ${number}`) ?? 0) + weight);
        total += weight;
      }
      const found = new Map(sketch.list().map((hitter) => [hitter.name, hitter]));
      expect(found.size).toBe(Math.min(capacity, exact.size));
      for (const { name, count, error } of found.values()) {
        const truth = exact.get(name) ?? 0;
        expect(count).toBeGreaterThanOrEqual(truth);
        expect(count - error).toBeLessThanOrEqual(truth);
      }
      for (const [name, weight] of exact) {
        if (weight > total / capacity) expect(found.has(name)).toBe(true);
      }
    }),
  );
});

test("several instances' are added up, the heaviest first", () => {
  const of = (name: string, count: number) => ({ name, count, error: 0 });
  expect(mergeHitters([[of("a", 3), of("b", 5)], [of("a", 4)]], 1)).toEqual([of("a", 7)]);
});

test("what was long ago is forgotten", () => {
  const recent = new RecentHitters(1000);
  recent.top(5, 0);
  recent.add("old", 1);
  expect(recent.top(5, 500)).toHaveLength(1);
  expect(recent.top(5, 1000)).toHaveLength(1);
  recent.add("new", 1);
  expect(recent.top(5, 2000).map(({ name }) => name)).toEqual(["old", "new"]);
  expect(recent.top(5, 3000).map(({ name }) => name)).toEqual(["new"]);
  expect(recent.top(5, 9000)).toEqual([]);
});
