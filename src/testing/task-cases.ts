import assert from "node:assert/strict";
import type { TaskConsumer, TaskDelivery } from "../backplane/contract/task-store.ts";

/** Aborts nothing. */
export const never: AbortSignal = new AbortController().signal;

/** Asks until there is something; the time limit of the test ends it. */
export async function receiveSome(consumer: TaskConsumer): Promise<readonly TaskDelivery[]> {
  for (;;) {
    const deliveries = await consumer.receive(1, never);
    if (deliveries.length > 0) return deliveries;
  }
}

/** Whether `actual` has what `expected` has, and perhaps more; of lists, item by item. */
export function assertMatches(actual: unknown, expected: object): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual));
    assert.equal(actual.length, expected.length);
    for (const [index, item] of expected.entries()) assertMatches(actual[index], item);
    return;
  }
  assert.ok(typeof actual === "object" && actual !== null);
  const found = new Map<string, unknown>(Object.entries(actual));
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(found.get(name), value);
}
