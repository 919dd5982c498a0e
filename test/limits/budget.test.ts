import fc from "fast-check";
import { expect, test } from "vitest";
import { HistoryQuota } from "../../src/cli/history-quota.ts";
import { Budget } from "../../src/limits/budget.ts";

test("whoever waits as told never uses more than the burst, the last use and what came in since", () => {
  const use = fc.record({ amount: fc.nat(50), later: fc.nat(5000) });
  fc.assert(
    fc.property(
      fc.array(use),
      fc.integer({ min: 1, max: 100 }),
      fc.nat(100),
      (uses, rate, burst) => {
        const budget = new Budget(rate, burst, 0);
        let now = 0;
        let used = 0;
        for (const { amount, later } of uses) {
          now += later;
          now += budget.wait(now);
          expect(budget.wait(now)).toBe(0);
          budget.use(amount, now);
          used += amount;
          expect(used).toBeLessThanOrEqual(burst + amount + (now * rate) / 1000 + 1e-6);
        }
      },
    ),
  );
});

test("rooms with history are counted for whoever began them until they are forgotten", () => {
  const say = fc.record({
    user: fc.constantFrom("ann", "bob", "cat"),
    room: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    later: fc.nat(40),
  });
  fc.assert(
    fc.property(fc.array(say, { maxLength: 100 }), fc.nat(3), fc.nat(5), (said, perUser, inAll) => {
      const quota = new HistoryQuota({ perUser, inAll, ttlMs: 100 });
      const rooms = new Map<string, { maker: string; until: number }>();
      let now = 0;
      for (const { user, room, later } of said) {
        now += later;
        for (const [name, { until }] of rooms) if (until <= now) rooms.delete(name);
        const known = rooms.get(room);
        const made = [...rooms.values()].filter(({ maker }) => maker === user).length;
        const admitted = known !== undefined || (made < perUser && rooms.size < inAll);
        expect(quota.admits(user, room, now)).toBe(admitted);
        if (admitted) rooms.set(room, { maker: known?.maker ?? user, until: now + 100 });
      }
    }),
  );
});
