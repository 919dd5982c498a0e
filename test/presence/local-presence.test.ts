import fc from "fast-check";
import { expect, test } from "vitest";
import { LocalPresence } from "../../src/presence/local-presence.ts";

test("the cluster is told of the first connection and the last, not of those between", () => {
  const presence = new LocalPresence(1000);
  expect(presence.add("room", "alice")).toBe("came");
  expect(presence.add("room", "alice")).toBe("none");
  expect(presence.remove("room", "alice", false, 0)).toBe("none");
  expect(presence.remove("room", "alice", false, 0)).toBe("went");
  expect(presence.remove("room", "alice", false, 0)).toBe("none");
});

test("a user who dropped and returns in time was never gone", () => {
  const presence = new LocalPresence(1000);
  presence.add("room", "alice");
  expect(presence.remove("room", "alice", true, 0)).toBe("none");
  expect(presence.nextExpiry).toBe(1000);
  expect(presence.takeExpired(999)).toEqual([]);
  expect(presence.add("room", "alice")).toBe("none");
  expect(presence.takeExpired(5000)).toEqual([]);
  expect(presence.remove("room", "alice", false, 6000)).toBe("went");
});

test("a user who dropped and does not return is gone when the grace is over", () => {
  const presence = new LocalPresence(1000);
  presence.add("room", "alice");
  presence.remove("room", "alice", true, 0);
  expect(presence.heldBy("alice")).toEqual(["room"]);
  expect(presence.takeExpired(1000)).toEqual([{ place: "room", user: "alice", until: 1000 }]);
  expect(presence.nextExpiry).toBeNull();
  expect([...presence.entries()]).toEqual([]);
});

test("what the cluster was told is always what is here or held", () => {
  const step = fc.record({
    do: fc.constantFrom("add", "close", "drop", "wait", "forget"),
    place: fc.constantFrom("a", "b"),
    user: fc.constantFrom("x", "y"),
    ms: fc.nat(1500),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const presence = new LocalPresence(1000);
      const told = new Set<string>();
      const counts = new Map<string, number>();
      let now = 0;
      for (const { do: action, place, user, ms } of steps) {
        const key = `${place} ${user}`;
        const count = counts.get(key) ?? 0;
        if (action === "add") {
          counts.set(key, count + 1);
          const isNew = presence.add(place, user) === "came";
          expect(isNew).toBe(!told.has(key));
          told.add(key);
        } else if (action === "close" || action === "drop") {
          const went = presence.remove(place, user, action === "drop", now) === "went";
          counts.set(key, Math.max(0, count - 1));
          if (went) expect(told.delete(key)).toBe(true);
        } else if (action === "forget") {
          if (presence.forget(place, user)) expect(told.delete(key)).toBe(true);
        } else {
          now += ms;
          for (const gone of presence.takeExpired(now)) {
            expect(told.delete(`${gone.place} ${gone.user}`)).toBe(true);
          }
        }
        expect(presence.count(place, user)).toBe(counts.get(key) ?? 0);
        const vouched = [...presence.entries()].map((entry) => `${entry.place} ${entry.user}`);
        expect(vouched.sort()).toEqual([...told].sort());
      }
    }),
  );
});
