import fc from "fast-check";
import { expect, test } from "vitest";
import { createPositions } from "../../src/client/positions.ts";

const link = (n: number) => ({ id: String(n), prev: String(n - 1) });

test("whatever comes again is recognised, and what is missing is seen, in any stretch of a log", () => {
  const stretches = fc.array(fc.tuple(fc.nat(50), fc.nat(20)), { maxLength: 10 });
  fc.assert(
    fc.property(stretches, (reads) => {
      const positions = createPositions({});
      const seen = new Set<number>();
      let last: number | null = null;
      for (const [from, count] of reads) {
        for (let n = from + 1; n <= from + count; n++) {
          const outcome = positions.received("room", link(n));
          if (seen.has(n)) expect(outcome).toBe("duplicate");
          else {
            expect(outcome).toBe(last === null || last === n - 1 ? "next" : "gap");
            last = n;
          }
          seen.add(n);
        }
      }
    }),
  );
});

test("what has come and what was taken are two positions", () => {
  const positions = createPositions({});
  positions.received("room", link(1));
  positions.received("room", link(2));
  positions.took({ room: "room", id: "1" });
  expect(positions.taken()).toEqual({ room: "1" });
  expect(positions.resume()).toEqual({ room: "2" });
});

test("a room that was not asked for and moved on is a gap, not a silence", () => {
  const positions = createPositions({ moved: "1", same: "1" });
  const joined = { type: "joined", recovered: null } as const;
  expect(positions.joined({ ...joined, room: "moved", position: "9" })).toBe("gap");
  expect(positions.joined({ ...joined, room: "same", position: "1" })).toBeUndefined();
  expect(positions.joined({ ...joined, room: "other", position: "1" })).toBeUndefined();
  expect(positions.resume()).toEqual({ moved: "9", same: "1", other: "1" });
});

test("after a gap a new connection asks where the room stands, as nothing may have come in between", () => {
  const positions = createPositions({ room: "1" });
  positions.lost("room");
  expect(positions.resume()).toEqual({ room: "1" });
  const joined = { type: "joined", room: "room", position: "9" } as const;
  expect(positions.joined({ ...joined, recovered: false })).toBe("gap");
  positions.lost("room");
  expect(positions.received("room", link(20))).toBe("next");
  expect(positions.received("room", link(22))).toBe("gap");
});

test("at most 100 rooms are resumed, and a room may have any name", () => {
  const rooms = Object.fromEntries(
    Array.from({ length: 150 }, (_, i) => [i === 0 ? "__proto__" : `r${i}`, "1"]),
  );
  const positions = createPositions(rooms);
  const resumed = positions.resume();
  expect(Object.keys(resumed)).toHaveLength(100);
  expect(Object.hasOwn(resumed, "__proto__")).toBe(true);
});
