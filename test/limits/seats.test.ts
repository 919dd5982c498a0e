import fc from "fast-check";
import { expect, test } from "vitest";
import { Reservations } from "../../src/backplane/core/reservations.ts";
import { Seats } from "../../src/limits/seats.ts";

test("seats are never more than allowed, in all or of a group, and all are free in the end", () => {
  const groups = fc.constantFrom("a", "b", null);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), groups)), (events) => {
      const seats = new Seats(5, 2);
      const taken: (string | null)[] = [];
      for (const [comes, group] of events) {
        if (!comes) {
          const left = taken.pop();
          if (left !== undefined) seats.free(left);
          continue;
        }
        const here = taken.filter((one) => one === group).length;
        const expected =
          taken.length >= 5 ? "full" : group !== null && here >= 2 ? "groupFull" : "taken";
        expect(seats.take(group)).toBe(expected);
        if (expected === "taken") taken.push(group);
      }
      for (const group of taken) seats.free(group);
      for (let i = 0; i < 5; i++) expect(seats.take(null)).toBe("taken");
      expect(seats.take(null)).toBe("full");
    }),
  );
});

const REJECT = { max: 2, whenFull: "reject" } as const;
const REPLACE = { max: 2, whenFull: "replaceOldest" } as const;

test("a user's places: rejected or taken from the oldest, given back by their holder alone", () => {
  const places = new Reservations();
  expect(places.reserve("alice", "1", "a", REJECT)).toEqual({ granted: true, replaced: [] });
  expect(places.reserve("alice", "2", "b", REJECT)).toEqual({ granted: true, replaced: [] });
  expect(places.reserve("alice", "3", "b", REJECT)).toEqual({ granted: false, replaced: [] });
  expect(places.reserve("bob", "4", "b", REJECT).granted).toBe(true);
  expect(places.reserve("alice", "2", "b", REJECT).granted).toBe(true);
  places.release("alice", "1", "b");
  expect(places.reserve("alice", "3", "b", REJECT).granted).toBe(false);
  expect(places.reserve("alice", "3", "b", REPLACE)).toEqual({ granted: true, replaced: ["1"] });
  expect(places.reserve("alice", "5", "b", { ...REPLACE, max: 1 }).replaced).toEqual(["2", "3"]);
  places.releaseAll("b");
  places.release("nobody", "1", "a");
  expect(places.reserve("alice", "6", "a", { ...REJECT, max: 1 }).granted).toBe(true);
  places.release("alice", "6", "a");
  expect(places.reserve("alice", "7", "a", { ...REJECT, max: 1 }).granted).toBe(true);
});
