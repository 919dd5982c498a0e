import fc from "fast-check";
import { expect, test } from "vitest";
import { Fifo } from "../../src/client/messages/fifo.ts";

test("a queue gives what it was given, in order, however it is filled and emptied", () => {
  const steps = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: -200, max: -1 })), {
    maxLength: 50,
  });
  fc.assert(
    fc.property(steps, (counts) => {
      const queue = new Fifo<number>();
      const model: number[] = [];
      let next = 0;
      for (const count of counts) {
        for (let i = 0; i < count; i++) {
          queue.push(next);
          model.push(next++);
        }
        for (let i = 0; i > count; i--) expect(queue.take()).toBe(model.shift());
        expect([queue.length, queue.peek()]).toEqual([model.length, model[0]]);
      }
    }),
  );
});
