import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { QueueFullError } from "../protocol/errors.ts";
import type { Cases } from "./contract.ts";
import { assertMatches, never, receiveSome } from "./task-cases.ts";

/** What every `TaskStore` must do with tasks that get done. */
export const TASKS: Cases = {
  "a task is delivered with what was added, once, and forgotten when it is done": async (
    _join,
    open,
  ) => {
    const store = open();
    const id = await store.add('{"text":"é😀\\u0000"}', null);
    const consumer = await store.consume();
    const [delivery, ...others] = await consumer.receive(10, never);
    assertMatches(delivery, { id, attempt: 1, data: '{"text":"é😀\\u0000"}' });
    assert.deepEqual(others, []);
    assertMatches(await store.counts(), { waiting: 0, inWork: 1, dead: 0 });
    assert.equal(await consumer.acknowledge(delivery?.receipt ?? ""), "held");
    assert.deepEqual(await store.counts(), { waiting: 0, inWork: 0, dead: 0, oldest: null });
    assert.notEqual(await consumer.acknowledge(delivery?.receipt ?? ""), "held");
    await consumer.leave();
  },

  "what was added before anybody worked is delivered, no more at a time than asked for": async (
    _join,
    open,
  ) => {
    const ids: string[] = [];
    for (let i = 0; i < 25; i++) ids.push(await open().add(String(i), null));
    const consumer = await open().consume();
    const seen: string[] = [];
    while (seen.length < 25) {
      const deliveries = await consumer.receive(10, never);
      assert.ok(deliveries.length <= 10);
      seen.push(...deliveries.map(({ id }) => id));
    }
    assert.deepEqual(seen.sort(), ids.sort());
    await consumer.leave();
  },

  "a worker that waits gets a task that is added meanwhile": async (_join, open) => {
    const consumer = await open().consume();
    const receiving = receiveSome(consumer);
    const id = await open().add("1", null);
    assert.deepEqual(
      (await receiving).map((delivery) => delivery.id),
      [id],
    );
    await consumer.leave();
  },

  "a worker that waits returns when it is told to stop": async (_join, open) => {
    const consumer = await open().consume();
    await consumer.receive(1, never);
    const stopping = new AbortController();
    const receiving = consumer.receive(1, stopping.signal);
    stopping.abort();
    assert.deepEqual(await receiving, []);
    await consumer.leave();
  },

  "several workers never hold the same task": async (_join, open) => {
    for (let i = 0; i < 200; i++) await open().add(String(i), null);
    const names = ["a", "b", "c"];
    const work = async (consumer: string): Promise<string[]> => {
      const worker = await open({ consumer, visibilityMs: 60_000 }).consume();
      const done: string[] = [];
      for (let some = await worker.receive(7, never); some.length > 0; ) {
        for (const { id, receipt } of some) {
          assert.equal(await worker.acknowledge(receipt), "held");
          done.push(id);
        }
        some = await worker.receive(7, never);
      }
      await worker.leave();
      return done;
    };
    const done = (await Promise.all(names.map(work))).flat();
    assert.equal(done.length, 200);
    assert.equal(new Set(done).size, 200);
  },

  "a task whose worker is silent is given to another; the first one's word counts no more": async (
    _join,
    open,
  ) => {
    const id = await open().add("1", null);
    const silent = await open({ consumer: "silent" }).consume();
    const [before] = await receiveSome(silent);
    const other = await open({ consumer: "other" }).consume();
    const [after] = await receiveSome(other);
    assertMatches(after, { id, attempt: 2, data: "1" });
    const late = before?.receipt ?? "";
    assert.ok(!(await silent.extend([late])).includes("held"));
    assert.notEqual(await silent.acknowledge(late), "held");
    assert.equal(await silent.fail(late, "late", false), "lost");
    assert.equal(await other.acknowledge(after?.receipt ?? ""), "held");
    await silent.leave();
    await other.leave();
  },

  "a worker that got its own task back has lost the delivery it had before": async (
    _join,
    open,
  ) => {
    await open().add("1", null);
    const consumer = await open().consume();
    const [first] = await receiveSome(consumer);
    const [second] = await receiveSome(consumer);
    assert.equal(second?.attempt, 2);
    const [before, after] = [first?.receipt ?? "", second?.receipt ?? ""];
    assert.deepEqual(await consumer.extend([before, after]), ["lost", "held"]);
    assert.notEqual(await consumer.acknowledge(before), "held");
    assert.equal(await consumer.acknowledge(after), "held");
    await consumer.leave();
  },

  "signs of life keep a task, however long it takes": async (_join, open) => {
    // Long, so that a machine that is busy with something else for a while does no harm.
    const patient = { visibilityMs: 3000 };
    await open().add("1", null);
    const slow = await open({ consumer: "slow", ...patient }).consume();
    const [delivery] = await receiveSome(slow);
    const receipt = delivery?.receipt ?? "";
    const other = await open({ consumer: "other", ...patient }).consume();
    const until = performance.now() + patient.visibilityMs + 500;
    while (performance.now() < until) {
      assert.deepEqual(await slow.extend([receipt]), ["held"]);
      await wait(50);
    }
    assert.deepEqual(await other.receive(1, never), []);
    assert.equal(await slow.acknowledge(receipt), "held");
    await slow.leave();
    await other.leave();
  },

  "a worker that leaves hands back what it has, due at once": async (_join, open) => {
    const patient = { visibilityMs: 3_600_000 };
    for (let i = 0; i < 3; i++) await open().add(String(i), null);
    const leaving = await open({ consumer: "leaving", ...patient }).consume();
    const had = await leaving.receive(10, never);
    assert.equal(had.length, 3);
    await leaving.leave();
    assertMatches(await open().counts(), { waiting: 3, inWork: 0 });
    const other = await open({ consumer: "other", ...patient }).consume();
    const seen: string[] = [];
    while (seen.length < 3) {
      for (const { id, attempt } of await other.receive(10, never)) {
        assert.equal(attempt, 2);
        seen.push(id);
      }
    }
    assert.deepEqual(seen.sort(), had.map(({ id }) => id).sort());
    await other.leave();
  },

  "the same idempotency key adds one task, also when it is done": async (_join, open) => {
    const store = open();
    const ids = await Promise.all([1, 2, 3].map(() => store.add("1", "key é:{}")));
    assert.equal(new Set(ids).size, 1);
    assertMatches(await store.counts(), { waiting: 1 });
    const consumer = await store.consume();
    const [delivery] = await receiveSome(consumer);
    await consumer.acknowledge(delivery?.receipt ?? "");
    assert.equal(await store.add("2", "key é:{}"), ids[0]);
    assert.notEqual(await store.add("2", "another"), ids[0]);
    await consumer.leave();
  },

  "a full queue refuses tasks until one is done, and remembers no key of those it refused": async (
    _join,
    open,
  ) => {
    const store = open({ maxLength: 2 });
    await store.add("1", "first");
    await store.add("2", null);
    await assert.rejects(store.add("3", "third"), QueueFullError);
    await assert.rejects(store.add("3", null), { code: "queue_full", limit: 2 });
    assert.match(await store.add("1", "first"), /-/);
    const consumer = await store.consume();
    const [delivery] = await receiveSome(consumer);
    // In work is not done.
    await assert.rejects(store.add("3", null), QueueFullError);
    await consumer.acknowledge(delivery?.receipt ?? "");
    assert.match(await store.add("3", "third"), /-/);
    await consumer.leave();
  },

  "queues of other names share nothing": async (_join, open) => {
    const [mail, bare] = [open({ queue: "mail" }), open()];
    await mail.add("1", "key");
    assertMatches(await bare.counts(), { waiting: 0 });
    const id = await bare.add("2", "key");
    const consumer = await mail.consume();
    assert.deepEqual(
      (await receiveSome(consumer)).map(({ data }) => data),
      ["1"],
    );
    assertMatches(await bare.counts(), { waiting: 1 });
    const other = await bare.consume();
    assert.deepEqual(
      (await receiveSome(other)).map((delivery) => delivery.id),
      [id],
    );
    await consumer.leave();
    await other.leave();
  },

  "the oldest task counts, waiting or in work": async (_join, open) => {
    const store = open();
    assert.equal((await store.counts()).oldest, null);
    const before = Date.now();
    await store.add("1", null);
    const { oldest } = await store.counts();
    assert.ok(oldest !== null && oldest >= before);
    assert.ok(oldest <= Date.now());
    const consumer = await store.consume();
    await receiveSome(consumer);
    await store.add("2", null);
    assert.equal((await store.counts()).oldest, oldest);
    await consumer.leave();
  },
};
