import fc from "fast-check";
import { expect, test } from "vitest";
import { Positions } from "../../src/client/v1/positions.ts";

/** The rooms in each frame of a new connection. */
const resumed = (positions: Positions, wanted: string[] = []) =>
  positions.resume(wanted).map(({ rooms }) => rooms);

const link = (n: number) => ({ id: String(n), prev: String(n - 1) });

test("whatever comes again is recognised, and what is missing is seen, in any stretch of a log", () => {
  const stretches = fc.array(fc.tuple(fc.nat(50), fc.nat(20)), { maxLength: 10 });
  fc.assert(
    fc.property(stretches, (reads) => {
      const positions = new Positions({});
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
  const positions = new Positions({});
  positions.received("room", link(1));
  positions.received("room", link(2));
  const [first, second] = [positions.step("room", "1"), positions.step("room", "2")];
  positions.took(first);
  expect(positions.taken()).toEqual({ room: "1" });
  expect(resumed(positions)).toEqual([{ room: "2" }]);
  // Whoever is done with the first only now does not take back the second.
  positions.took(second);
  positions.took(first);
  expect(positions.taken()).toEqual({ room: "2" });
});

test("a room that was not asked for and moved on is a gap, not a silence", () => {
  const positions = new Positions({ moved: "1", same: "1" });
  expect(positions.joined("moved", null, "9")).toBe("gap");
  expect(positions.joined("same", null, "1")).toBeUndefined();
  expect(positions.joined("other", null, "1")).toBeUndefined();
  expect(resumed(positions)).toEqual([{ moved: "9", same: "1", other: "1" }]);
});

test("after a gap a new connection asks where the room stands, as nothing may have come in between", () => {
  const positions = new Positions({ room: "1" });
  positions.lost("room");
  expect(resumed(positions)).toEqual([{ room: "1" }]);
  expect(positions.joined("room", false, "9")).toBe("gap");
  positions.lost("room");
  expect(positions.received("room", link(20))).toBe("next");
  expect(positions.received("room", link(22))).toBe("gap");
});

test("all rooms are resumed, at most 100 in a frame, and a room may have any name", () => {
  const rooms = Object.fromEntries(
    Array.from({ length: 250 }, (_, i) => [i === 0 ? "__proto__" : `r${i}`, "1"]),
  );
  const positions = new Positions(rooms);
  const frames = resumed(positions, ["wanted", "r1"]);
  expect(positions.resume([]).map(({ more }) => more)).toEqual([true, true, false]);
  expect(frames.map((frame) => Object.keys(frame).length)).toEqual([100, 100, 51]);
  const all = new Map<string, unknown>(frames.flatMap((frame) => Object.entries(frame)));
  expect(all).toEqual(new Map<string, unknown>([...Object.entries(rooms), ["wanted", true]]));
});

test("a room without a log is asked for again, without a position", () => {
  const positions = new Positions({});
  positions.joined("plain", null);
  expect(resumed(positions)).toEqual([{ plain: null }]);
  positions.leave("plain");
  expect(resumed(positions)).toEqual([{}]);
});

test("what still comes of a room that was left does not bring it back", () => {
  const positions = new Positions({ room: "1" });
  positions.leave("room");
  positions.received("room", link(2));
  // To a join before it was left.
  expect(positions.joined("room", null, "7")).toBeUndefined();
  expect([resumed(positions), positions.taken()]).toEqual([[{}], {}]);
  // The server has left it too, and then joins by itself; or the client wants to be back.
  for (const comeBack of [() => positions.left("room"), () => positions.join("room")]) {
    positions.leave("room");
    comeBack();
    positions.joined("room", null, "7");
    expect(resumed(positions)).toEqual([{ room: "7" }]);
  }
});

test.each([null, [], "positions", 5, true])("positions that are %j are refused by name", (from) => {
  expect(() => new Positions(from)).toThrow(/resumeFrom must be positions by room/);
});

test("positions that are none are for the server to refuse, one by one, and then there are none", () => {
  const positions = new Positions({ good: "1", empty: "", none: null, number: 5, list: [] });
  expect(resumed(positions)).toEqual([
    { good: "1", empty: "", none: "none", number: "none", list: "none" },
  ]);
  const rooms = ["good", "empty", "none", "number", "list", "other"];
  expect(rooms.map((room) => positions.drop(room))).toEqual([...Array(5).fill(true), false]);
  expect(rooms.map((room) => positions.drop(room))).toEqual(Array(6).fill(false));
  expect([positions.taken(), resumed(positions)[0]?.good]).toEqual([{}, null]);
});
