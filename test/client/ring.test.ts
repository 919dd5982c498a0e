import fc from "fast-check";
import { expect, test } from "vitest";
import { Ring } from "../../src/client/messages/ring.ts";

test("a ring gives what it was given, in order, however it is filled and emptied", () => {
  const steps = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: -200, max: -1 })), {
    maxLength: 50,
  });
  fc.assert(
    fc.property(steps, (counts) => {
      const ring = new Ring<number>();
      const model: number[] = [];
      let next = 0;
      for (const count of counts) {
        for (let i = 0; i < count; i++) {
          ring.push(next);
          model.push(next++);
        }
        for (let i = 0; i > count; i--) expect(ring.take()).toBe(model.shift());
        expect([ring.length, ring.peek()]).toEqual([model.length, model[0]]);
      }
    }),
  );
});
