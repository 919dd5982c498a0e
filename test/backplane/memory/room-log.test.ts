import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryOf, RoomLog } from "../../../src/backplane/memory/room-log.ts";
import { formatPosition, parsePosition } from "../../../src/protocol/position.ts";

test("a log keeps the newest messages, each linked to the one before, and pages after any position", () => {
  const write = fc.record({ now: fc.nat(50), size: fc.nat(20) });
  fc.assert(
    fc.property(
      fc.array(write, { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      (writes, max) => {
        const log = new RoomLog<string>();
        const bounds = { maxLength: max, maxBytes: Number.POSITIVE_INFINITY };
        const all: { id: string; prev: string }[] = [];
        // The clock may stand still or go back.
        for (const [i, { now, size }] of writes.entries()) {
          all.push(log.append("message", size, bounds, now, `n${i}`));
        }
        for (const [i, { prev }] of all.entries()) expect(prev).toBe(all[i - 1]?.id ?? "0");
        const kept = all.slice(-max);
        const beginning = { ms: 0, sequence: -1, nonce: "" };
        expect(log.after(beginning, 1000).map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
        expect(log.length).toBe(kept.length);
        const memory = writes.slice(-max).reduce((sum, { size }) => sum + memoryOf(size), 0);
        expect(log.bytes).toBe(memory);
        for (const [i, { id }] of kept.entries()) {
          const position = parsePosition(id);
          if (position === null) throw new Error(`${id} is no position`);
          expect(formatPosition(position)).toBe(id);
          const page = log.after(position, 3).map((entry) => entry.id);
          expect(page).toEqual(kept.slice(i + 1, i + 4).map((entry) => entry.id));
        }
      },
    ),
  );
});

test.each(["", "1", "1-2", "1-2~", "-1-2~x", "1-2~x y", "1e3-0~x", `1-2~${"x".repeat(33)}`, "0-0"])(
  "%j is no position",
  (text) => {
    expect(parsePosition(text)).toBeNull();
  },
);
