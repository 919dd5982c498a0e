import assert from "node:assert/strict";
import { type Cases, TERMS } from "./contract.ts";
import { assertMatches, never, receiveSome } from "./task-cases.ts";

/** What every `TaskStore` must do with tasks that fail, and with those that are dead. */
export const DEAD_LETTERS: Cases = {
  "a task that fails waits, is tried again, and is dead with its last error in the end": async (
    _join,
    open,
  ) => {
    const store = open();
    const id = await store.add('"x"', null);
    const consumer = await store.consume();
    for (const attempt of [1, 2, 3]) {
      const [delivery] = await receiveSome(consumer);
      assertMatches(delivery, { id, attempt });
      const fate = await consumer.fail(delivery?.receipt ?? "", `error ${attempt}`, false);
      assert.equal(fate, attempt < 3 ? "waiting" : "dead");
      const waiting = attempt < 3 ? 1 : 0;
      assertMatches(await store.counts(), { waiting, inWork: 0, dead: 1 - waiting });
    }
    const { letters, next } = await store.dead(null, 10);
    assert.equal(next, undefined);
    assertMatches(letters, [{ id, data: '"x"', attempts: 3, error: "error 3" }]);
    assert.equal(typeof letters[0]?.diedAt, "number");
    await consumer.leave();
  },

  "a failed task is not due before its visibility timeout": async (_join, open) => {
    await open().add("1", null);
    const consumer = await open().consume();
    const [delivery] = await receiveSome(consumer);
    const failedAt = performance.now();
    await consumer.fail(delivery?.receipt ?? "", "no", false);
    await receiveSome(consumer);
    assert.ok(performance.now() - failedAt >= TERMS.visibilityMs - 5);
    await consumer.leave();
  },

  "a task that is beyond help is dead at once": async (_join, open) => {
    const store = open();
    await store.add("1", null);
    const consumer = await store.consume();
    const [delivery] = await receiveSome(consumer);
    assert.equal(await consumer.fail(delivery?.receipt ?? "", "garbage", true), "dead");
    assertMatches((await store.dead(null, 1)).letters, [{ attempts: 1, error: "garbage" }]);
    await consumer.leave();
  },

  "a task whose workers all fall silent is dead too, and whoever finds it is told": async (
    _join,
    open,
  ) => {
    const buried: { id: string; error: string }[] = [];
    const observer = {
      report: () => {},
      buried: (letter: (typeof buried)[0]) => void buried.push(letter),
    };
    const store = open({ maxDeliveries: 2 }, observer);
    const id = await store.add("1", null);
    const consumer = await store.consume();
    const [first] = await receiveSome(consumer);
    await consumer.fail(first?.receipt ?? "", "boom", false);
    await receiveSome(consumer);
    while (buried.length === 0) assert.deepEqual(await consumer.receive(1, never), []);
    assert.deepEqual(buried, [{ id, error: "No worker finished it. Before that: boom" }]);
    assertMatches((await store.dead(null, 1)).letters, [
      { id, attempts: 2, error: "No worker finished it. Before that: boom" },
    ]);
    assertMatches(await store.counts(), { waiting: 0, inWork: 0, dead: 1 });
    await consumer.leave();
  },

  "a dead task that is retried is the same task with all its attempts before it": async (
    _join,
    open,
  ) => {
    const store = open({ maxDeliveries: 1 });
    const id = await store.add('{"n":1}', null);
    const consumer = await store.consume();
    for (let round = 0; round < 2; round++) {
      const [delivery] = await receiveSome(consumer);
      assertMatches(delivery, { id, attempt: 1, data: '{"n":1}' });
      assert.equal(await consumer.fail(delivery?.receipt ?? "", "no", false), "dead");
      assert.equal(await store.retry(id), true);
      assert.equal(await store.retry(id), false);
      assertMatches(await store.counts(), { waiting: 1, dead: 0 });
    }
    await consumer.leave();
  },

  "a dead task that is discarded is gone; what is not dead can be neither retried nor discarded":
    async (_join, open) => {
      const store = open({ maxDeliveries: 1 });
      const id = await store.add("1", null);
      for (const wrong of [id, "", "nothing", "1-1"]) {
        assert.equal(await store.retry(wrong), false);
        assert.equal(await store.discard(wrong), false);
      }
      const consumer = await store.consume();
      const [delivery] = await receiveSome(consumer);
      await consumer.fail(delivery?.receipt ?? "", "no", false);
      assert.equal(await store.discard(id), true);
      assert.equal(await store.discard(id), false);
      assert.deepEqual(await store.counts(), { waiting: 0, inWork: 0, dead: 0, oldest: null });
      await consumer.leave();
    },

  "there are no more dead letters than may be kept: the oldest go": async (_join, open) => {
    const store = open({ maxDeliveries: 1, maxDead: 3 });
    const consumer = await store.consume();
    const died: string[] = [];
    for (let i = 0; i < 5; i++) {
      const id = await store.add(String(i), null);
      const [delivery] = await receiveSome(consumer);
      await consumer.fail(delivery?.receipt ?? "", "no", false);
      died.push(id);
    }
    const { letters } = await store.dead(null, 10);
    assert.deepEqual(
      letters.map(({ id }) => id),
      died.slice(2),
    );
    assertMatches(await store.counts(), { dead: 3 });
    assert.equal(await store.retry(died[1] ?? ""), false);
    assert.equal(await store.retry(died[2] ?? ""), true);
    await consumer.leave();
  },

  "dead letters are read in the order they died, a page at a time, also while they go": async (
    _join,
    open,
  ) => {
    const store = open({ maxDeliveries: 1 });
    const consumer = await store.consume();
    const died: string[] = [];
    for (let i = 0; i < 25; i++) {
      await store.add(String(i), null);
      const [delivery] = await receiveSome(consumer);
      await consumer.fail(delivery?.receipt ?? "", "no", false);
      died.push(delivery?.id ?? "");
    }
    const seen: string[] = [];
    for (let since: string | null = null; ; ) {
      const page = await store.dead(since, 10);
      for (const { id } of page.letters) {
        seen.push(id);
        await store.discard(id);
      }
      if (page.next === undefined) break;
      since = page.next;
    }
    assert.deepEqual(seen, died);
    await consumer.leave();
  },
};
