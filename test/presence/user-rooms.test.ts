import fc from "fast-check";
import { expect, test } from "vitest";
import { UserRooms } from "../../src/presence/user-rooms.ts";

test("in whatever order changes arrive, the latest of each room holds", () => {
  const change = fc.record({ room: fc.constantFrom("a", "b", "c"), joined: fc.boolean() });
  const changes = fc.array(change, { maxLength: 20 });
  fc.assert(
    fc.property(changes, fc.infiniteStream(fc.nat()), (made, chances) => {
      const numbered = made.map((one, index) => ({ ...one, version: index + 1 }));
      const arriving = numbered
        .map((one) => ({ one, chance: chances.next().value ?? 0 }))
        .sort((a, b) => a.chance - b.chance)
        .map(({ one }) => one);
      const rooms = new UserRooms();
      for (const { room, joined, version } of arriving) rooms.note(room, joined, version);
      const latest = new Map(numbered.map(({ room, joined }) => [room, joined]));
      const expected = [...latest].filter(([, joined]) => joined).map(([room]) => room);
      expect([...rooms.rooms].sort()).toEqual(expected.sort());
    }),
  );
});

test("a change without a version holds until there is a later one", () => {
  const rooms = new UserRooms();
  expect(rooms.note("a", true, 7)).toBe(true);
  expect(rooms.note("a", false, 0)).toBe(true);
  expect([...rooms.rooms]).toEqual([]);
  expect(rooms.note("a", true, 6)).toBe(false);
  expect(rooms.note("a", true, 8)).toBe(true);
  expect([...rooms.rooms]).toEqual(["a"]);
});

test("a user who leaves room after room takes no more and more memory", () => {
  const rooms = new UserRooms();
  for (let i = 1; i <= 1000; i++) rooms.note(`room ${i}`, false, i);
  expect(rooms.note("room 1000", true, 1)).toBe(false);
  // Forgotten, so that what comes too late is taken for new.
  expect(rooms.note("room 1", true, 1)).toBe(true);
});

test("only what nobody could give a version is unknown to the cluster", () => {
  const rooms = new UserRooms();
  rooms.note("before the start", true, 0);
  rooms.note("left again", true, 0);
  rooms.note("left again", false, 0);
  rooms.note("by others", true, 5);
  expect(rooms.unknown).toEqual(["before the start"]);
  rooms.note("before the start", true, 6);
  expect(rooms.unknown).toEqual([]);
});
