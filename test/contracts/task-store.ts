import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { TaskObserver, TaskStore, TaskTerms } from "../../src/backplane/task-store.ts";
import { QueueFullError } from "../../src/protocol/errors.ts";

/** Opens the same queue again and again, as several instances would. */
export type OpenQueue = (terms?: Partial<TaskTerms>, observer?: TaskObserver) => TaskStore;

/** Terms short enough to wait for. */
export const TERMS: TaskTerms = {
  queue: "tasks",
  consumer: "a",
  visibilityMs: 300,
  maxDeliveries: 3,
  maxLength: 1000,
};

export const QUIET: TaskObserver = { buried: () => {}, report: () => {} };

const never = new AbortController().signal;

/** What every `TaskStore` must do. `make` gives a fresh cluster. */
export function testTaskStore(name: string, make: () => Promise<OpenQueue>): void {
  describe(`${name} as a task store`, () => {
    test("a task is delivered with what was added, once, and forgotten when it is done", async () => {
      const open = await make();
      const store = open();
      const id = await store.add('{"text":"é😀\\u0000"}', null);
      const consumer = await store.consume();
      const [delivery, ...others] = await consumer.receive(10, never);
      expect(delivery).toMatchObject({ id, attempt: 1, data: '{"text":"é😀\\u0000"}' });
      expect(others).toEqual([]);
      expect(await store.counts()).toMatchObject({ waiting: 0, inWork: 1, dead: 0 });
      expect(await consumer.acknowledge(delivery?.receipt ?? "")).toBe("held");
      expect(await store.counts()).toEqual({ waiting: 0, inWork: 0, dead: 0, oldest: null });
      expect(await consumer.acknowledge(delivery?.receipt ?? "")).not.toBe("held");
      await consumer.leave();
    });

    test("what was added before anybody worked is delivered, no more at a time than asked for", async () => {
      const open = await make();
      const ids: string[] = [];
      for (let i = 0; i < 25; i++) ids.push(await open().add(String(i), null));
      const consumer = await open().consume();
      const seen: string[] = [];
      while (seen.length < 25) {
        const deliveries = await consumer.receive(10, never);
        expect(deliveries.length).toBeLessThanOrEqual(10);
        seen.push(...deliveries.map(({ id }) => id));
      }
      expect(seen.sort()).toEqual(ids.sort());
      await consumer.leave();
    });

    test("a worker that waits gets a task that is added meanwhile", async () => {
      const open = await make();
      const consumer = await open().consume();
      const receiving = receiveSome(consumer);
      const id = await open().add("1", null);
      expect((await receiving).map((delivery) => delivery.id)).toEqual([id]);
      await consumer.leave();
    });

    test("a worker that waits returns when it is told to stop", async () => {
      const open = await make();
      const consumer = await open().consume();
      await consumer.receive(1, never);
      const stopping = new AbortController();
      const receiving = consumer.receive(1, stopping.signal);
      stopping.abort();
      expect(await receiving).toEqual([]);
      await consumer.leave();
    });

    test("several workers never hold the same task", async () => {
      const open = await make();
      for (let i = 0; i < 200; i++) await open().add(String(i), null);
      const names = ["a", "b", "c"];
      const work = async (consumer: string): Promise<string[]> => {
        const worker = await open({ consumer, visibilityMs: 60_000 }).consume();
        const done: string[] = [];
        for (let some = await worker.receive(7, never); some.length > 0; ) {
          for (const { id, receipt } of some) {
            expect(await worker.acknowledge(receipt)).toBe("held");
            done.push(id);
          }
          some = await worker.receive(7, never);
        }
        await worker.leave();
        return done;
      };
      const done = (await Promise.all(names.map(work))).flat();
      expect(done).toHaveLength(200);
      expect(new Set(done).size).toBe(200);
    });

    test("a task whose worker is silent is given to another; the first one's word counts no more", async () => {
      const open = await make();
      const id = await open().add("1", null);
      const silent = await open({ consumer: "silent" }).consume();
      const [before] = await receiveSome(silent);
      const other = await open({ consumer: "other" }).consume();
      const [after] = await receiveSome(other);
      expect(after).toMatchObject({ id, attempt: 2, data: "1" });
      const late = before?.receipt ?? "";
      expect(await silent.extend([late])).not.toContain("held");
      expect(await silent.acknowledge(late)).not.toBe("held");
      expect(await silent.fail(late, "late", false)).toBe("lost");
      expect(await other.acknowledge(after?.receipt ?? "")).toBe("held");
      await silent.leave();
      await other.leave();
    });

    test("a worker that got its own task back has lost the delivery it had before", async () => {
      const open = await make();
      await open().add("1", null);
      const consumer = await open().consume();
      const [first] = await receiveSome(consumer);
      const [second] = await receiveSome(consumer);
      expect(second?.attempt).toBe(2);
      const [before, after] = [first?.receipt ?? "", second?.receipt ?? ""];
      expect(await consumer.extend([before, after])).toEqual(["lost", "held"]);
      expect(await consumer.acknowledge(before)).not.toBe("held");
      expect(await consumer.acknowledge(after)).toBe("held");
      await consumer.leave();
    });

    test("signs of life keep a task, however long it takes", async () => {
      const open = await make();
      // Long, so that a machine that is busy with something else for a while does no harm.
      const patient = { visibilityMs: 3000 };
      await open().add("1", null);
      const slow = await open({ consumer: "slow", ...patient }).consume();
      const [delivery] = await receiveSome(slow);
      const receipt = delivery?.receipt ?? "";
      const other = await open({ consumer: "other", ...patient }).consume();
      const until = performance.now() + patient.visibilityMs + 500;
      while (performance.now() < until) {
        expect(await slow.extend([receipt])).toEqual(["held"]);
        await wait(50);
      }
      expect(await other.receive(1, never)).toEqual([]);
      expect(await slow.acknowledge(receipt)).toBe("held");
      await slow.leave();
      await other.leave();
    });

    test("a task that fails waits, is tried again, and is dead with its last error in the end", async () => {
      const open = await make();
      const store = open();
      const id = await store.add('"x"', null);
      const consumer = await store.consume();
      for (const attempt of [1, 2, 3]) {
        const [delivery] = await receiveSome(consumer);
        expect(delivery).toMatchObject({ id, attempt });
        const fate = await consumer.fail(delivery?.receipt ?? "", `error ${attempt}`, false);
        expect(fate).toBe(attempt < 3 ? "waiting" : "dead");
        const waiting = attempt < 3 ? 1 : 0;
        expect(await store.counts()).toMatchObject({ waiting, inWork: 0, dead: 1 - waiting });
      }
      const { letters, next } = await store.dead(null, 10);
      expect(next).toBeUndefined();
      expect(letters).toEqual([
        { id, data: '"x"', attempts: 3, error: "error 3", diedAt: expect.any(Number) },
      ]);
      await consumer.leave();
    });

    test("a failed task is not due before its visibility timeout", async () => {
      const open = await make();
      await open().add("1", null);
      const consumer = await open().consume();
      const [delivery] = await receiveSome(consumer);
      const failedAt = performance.now();
      await consumer.fail(delivery?.receipt ?? "", "no", false);
      await receiveSome(consumer);
      expect(performance.now() - failedAt).toBeGreaterThanOrEqual(TERMS.visibilityMs - 5);
      await consumer.leave();
    });

    test("a task that is beyond help is dead at once", async () => {
      const open = await make();
      const store = open();
      await store.add("1", null);
      const consumer = await store.consume();
      const [delivery] = await receiveSome(consumer);
      expect(await consumer.fail(delivery?.receipt ?? "", "garbage", true)).toBe("dead");
      expect((await store.dead(null, 1)).letters).toMatchObject([
        { attempts: 1, error: "garbage" },
      ]);
      await consumer.leave();
    });

    test("a task whose workers all fall silent is dead too, and whoever finds it is told", async () => {
      const open = await make();
      const buried: { id: string; error: string }[] = [];
      const observer = {
        ...QUIET,
        buried: (letter: (typeof buried)[0]) => void buried.push(letter),
      };
      const store = open({ maxDeliveries: 2 }, observer);
      const id = await store.add("1", null);
      const consumer = await store.consume();
      const [first] = await receiveSome(consumer);
      await consumer.fail(first?.receipt ?? "", "boom", false);
      await receiveSome(consumer);
      while (buried.length === 0) expect(await consumer.receive(1, never)).toEqual([]);
      expect(buried).toEqual([{ id, error: "No worker finished it. Before that: boom" }]);
      expect((await store.dead(null, 1)).letters).toMatchObject([
        { id, attempts: 2, error: "No worker finished it. Before that: boom" },
      ]);
      expect(await store.counts()).toMatchObject({ waiting: 0, inWork: 0, dead: 1 });
      await consumer.leave();
    });

    test("a worker that leaves hands back what it has, due at once", async () => {
      const open = await make();
      const patient = { visibilityMs: 3_600_000 };
      for (let i = 0; i < 3; i++) await open().add(String(i), null);
      const leaving = await open({ consumer: "leaving", ...patient }).consume();
      const had = await leaving.receive(10, never);
      expect(had).toHaveLength(3);
      await leaving.leave();
      expect(await open().counts()).toMatchObject({ waiting: 3, inWork: 0 });
      const other = await open({ consumer: "other", ...patient }).consume();
      const seen: string[] = [];
      while (seen.length < 3) {
        for (const { id, attempt } of await other.receive(10, never)) {
          expect(attempt).toBe(2);
          seen.push(id);
        }
      }
      expect(seen.sort()).toEqual(had.map(({ id }) => id).sort());
      await other.leave();
    });

    test("a dead task that is retried is the same task with all its attempts before it", async () => {
      const open = await make();
      const store = open({ maxDeliveries: 1 });
      const id = await store.add('{"n":1}', null);
      const consumer = await store.consume();
      for (let round = 0; round < 2; round++) {
        const [delivery] = await receiveSome(consumer);
        expect(delivery).toMatchObject({ id, attempt: 1, data: '{"n":1}' });
        expect(await consumer.fail(delivery?.receipt ?? "", "no", false)).toBe("dead");
        expect(await store.retry(id)).toBe(true);
        expect(await store.retry(id)).toBe(false);
        expect(await store.counts()).toMatchObject({ waiting: 1, dead: 0 });
      }
      await consumer.leave();
    });

    test("a dead task that is discarded is gone; what is not dead can be neither retried nor discarded", async () => {
      const open = await make();
      const store = open({ maxDeliveries: 1 });
      const id = await store.add("1", null);
      for (const wrong of [id, "", "nothing", "1-1"]) {
        expect(await store.retry(wrong)).toBe(false);
        expect(await store.discard(wrong)).toBe(false);
      }
      const consumer = await store.consume();
      const [delivery] = await receiveSome(consumer);
      await consumer.fail(delivery?.receipt ?? "", "no", false);
      expect(await store.discard(id)).toBe(true);
      expect(await store.discard(id)).toBe(false);
      expect(await store.counts()).toEqual({ waiting: 0, inWork: 0, dead: 0, oldest: null });
      await consumer.leave();
    });

    test("dead letters are read in the order they died, a page at a time, also while they go", async () => {
      const open = await make();
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
      expect(seen).toEqual(died);
      await consumer.leave();
    });

    test("the same idempotency key adds one task, also when it is done", async () => {
      const open = await make();
      const store = open();
      const ids = await Promise.all([1, 2, 3].map(() => store.add("1", "key é:{}")));
      expect(new Set(ids).size).toBe(1);
      expect(await store.counts()).toMatchObject({ waiting: 1 });
      const consumer = await store.consume();
      const [delivery] = await receiveSome(consumer);
      await consumer.acknowledge(delivery?.receipt ?? "");
      expect(await store.add("2", "key é:{}")).toBe(ids[0]);
      expect(await store.add("2", "another")).not.toBe(ids[0]);
      await consumer.leave();
    });

    test("a full queue refuses tasks until one is done, and remembers no key of those it refused", async () => {
      const open = await make();
      const store = open({ maxLength: 2 });
      await store.add("1", "first");
      await store.add("2", null);
      await expect(store.add("3", "third")).rejects.toThrow(QueueFullError);
      await expect(store.add("3", null)).rejects.toMatchObject({ code: "queue_full", limit: 2 });
      expect(await store.add("1", "first")).toMatch(/-/);
      const consumer = await store.consume();
      const [delivery] = await receiveSome(consumer);
      // In work is not done.
      await expect(store.add("3", null)).rejects.toThrow(QueueFullError);
      await consumer.acknowledge(delivery?.receipt ?? "");
      expect(await store.add("3", "third")).toMatch(/-/);
      await consumer.leave();
    });

    test("queues of other names share nothing", async () => {
      const open = await make();
      const [mail, bare] = [open({ queue: "mail" }), open()];
      await mail.add("1", "key");
      expect(await bare.counts()).toMatchObject({ waiting: 0 });
      const id = await bare.add("2", "key");
      const consumer = await mail.consume();
      expect((await receiveSome(consumer)).map(({ data }) => data)).toEqual(["1"]);
      expect(await bare.counts()).toMatchObject({ waiting: 1 });
      const other = await bare.consume();
      expect((await receiveSome(other)).map((delivery) => delivery.id)).toEqual([id]);
      await consumer.leave();
      await other.leave();
    });

    test("the oldest task counts, waiting or in work", async () => {
      const open = await make();
      const store = open();
      expect((await store.counts()).oldest).toBeNull();
      const before = Date.now();
      await store.add("1", null);
      const { oldest } = await store.counts();
      expect(oldest).toBeGreaterThanOrEqual(before);
      expect(oldest).toBeLessThanOrEqual(Date.now());
      const consumer = await store.consume();
      await receiveSome(consumer);
      await store.add("2", null);
      expect((await store.counts()).oldest).toBe(oldest);
      await consumer.leave();
    });
  });
}

type Consumer = Awaited<ReturnType<TaskStore["consume"]>>;

/** Asks until there is something; the test's own time limit ends it. */
async function receiveSome(consumer: Consumer): ReturnType<Consumer["receive"]> {
  for (;;) {
    const deliveries = await consumer.receive(1, never);
    if (deliveries.length > 0) return deliveries;
  }
}
