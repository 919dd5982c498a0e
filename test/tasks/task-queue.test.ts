import { describe, expect, test } from "vitest";
import type { Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import type { TaskQueueOptions } from "../../src/tasks/queue-options.ts";
import { type DeadTask, TaskQueue, type TaskQueueStats } from "../../src/tasks/task-queue.ts";
import { useDisposals } from "../support/disposals.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

const BACKPLANES: readonly [string, () => Promise<Backplane>][] = [
  ["memory", async () => memoryBackplane()],
  [
    "Redis",
    async () => {
      const server = await startRedisServer();
      onDispose(server.dispose);
      return redisBackplane({ url: server.url });
    },
  ],
];

function open(options: TaskQueueOptions): TaskQueue {
  const queue = new TaskQueue(options);
  onDispose(() => queue.close({ drainMs: 0 }));
  return queue;
}

async function deadOf(queue: TaskQueue): Promise<DeadTask[]> {
  const dead: DeadTask[] = [];
  for await (const letter of queue.dead()) dead.push(letter);
  return dead;
}

async function until(queue: TaskQueue, wanted: Partial<TaskQueueStats>): Promise<void> {
  await expect.poll(() => queue.stats()).toMatchObject(wanted);
}

/** A promise, and what settles it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe.each(BACKPLANES)("a task queue on %s", (_name, make) => {
  test("a handler gets each task as it was added, with its id, its attempt and a signal", async () => {
    const queue = open({ backplane: await make() });
    const tasks = [{ a: [null, "é😀"] }, "text", "", 0, false, null, [], { __proto__: null }];
    const ids = await Promise.all(tasks.map((task) => queue.add(task)));
    const seen = new Map<string, unknown>();
    void queue.process((task, { id, attempt, signal }) => {
      expect(attempt).toBe(1);
      expect(signal.aborted).toBe(false);
      seen.set(id, task);
    });
    await until(queue, { waiting: 0, inWork: 0 });
    expect(ids.map((id) => JSON.stringify(seen.get(id)))).toEqual(
      tasks.map((task) => JSON.stringify(task)),
    );
    expect(await queue.stats()).toMatchObject({
      dead: 0,
      oldest: null,
      local: { added: 8, done: 8, failed: 0, dead: 0, lost: 0 },
    });
  });

  test("no more tasks are in work than asked for, and never fewer while some wait", async () => {
    const queue = open({ backplane: await make() });
    for (let i = 0; i < 12; i++) await queue.add(i);
    const three = gate();
    let [inWork, most] = [0, 0];
    void queue.process(
      async () => {
        most = Math.max(most, ++inWork);
        if (inWork === 3) three.open();
        await three.opened;
        await new Promise(setImmediate);
        inWork--;
      },
      { concurrency: 3 },
    );
    await until(queue, { waiting: 0, inWork: 0 });
    expect(most).toBe(3);
  });

  test("what cannot be encoded is a TypeError, and adds nothing", async () => {
    const queue = open({ backplane: await make() });
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const toJSON = (): never => {
      throw new Error("no");
    };
    const wrong = [undefined, () => {}, Symbol("s"), 1n, cycle, { toJSON }, new Uint8Array(3)];
    for (const task of wrong) await expect(queue.add(task)).rejects.toThrow(TypeError);
    await expect(queue.add("x".repeat(1_048_576))).rejects.toMatchObject({
      code: "message_too_large",
    });
    expect(await queue.stats()).toMatchObject({ waiting: 0, local: { added: 0 } });
  });

  test("whatever a handler throws, the task is tried again and ends as a dead letter that says what", async () => {
    const unprintable = new Proxy(
      {},
      {
        get: () => {
          throw new Error("never show me");
        },
      },
    );
    const thrown: unknown[] = [
      undefined,
      null,
      "",
      0,
      Symbol("odd"),
      new Error("boom\u0000"),
      Object.create(null),
      Object.defineProperty(new Error(), "message", { get: () => unprintable.toString() }),
      unprintable,
      "x".repeat(5000),
    ];
    const queue = open({ backplane: await make(), visibilityMs: 1500, maxDeliveries: 2 });
    for (const index of thrown.keys()) await queue.add(index);
    const failed: unknown[] = [];
    queue.on("failed", ({ error, attempt, dead }) => {
      failed.push(error);
      expect(dead).toBe(attempt === 2);
    });
    void queue.process((task) => {
      // One throws at once, the next rejects.
      if (Number(task) % 2 === 0) throw thrown[Number(task)];
      return Promise.reject(thrown[Number(task)]);
    });
    await until(queue, { dead: thrown.length });
    expect(failed).toHaveLength(2 * thrown.length);
    expect(new Set(failed)).toEqual(new Set(thrown));
    const dead = await deadOf(queue);
    const errors = dead.sort((a, b) => Number(a.task) - Number(b.task)).map(({ error }) => error);
    expect(errors[0]).toBe("undefined was thrown");
    expect(errors[5]).toBe("Error: boom\u0000");
    for (const error of errors) expect(error).toMatch(/^.{4,1000}$/s);
    for (const { attempts } of dead) expect(attempts).toBe(2);
    await queue.add("still here");
    const task = new Promise((resolve) => queue.on("failed", resolve));
    expect(await task).toMatchObject({ attempt: 1 });
  });

  test("a handler that fails once is given the task again, under the same id", async () => {
    const queue = open({ backplane: await make(), visibilityMs: 1500 });
    const id = await queue.add("x");
    const attempts: [string, number][] = [];
    void queue.process((_task, context) => {
      attempts.push([context.id, context.attempt]);
      if (context.attempt === 1) throw new Error("once");
    });
    await until(queue, { waiting: 0, inWork: 0 });
    expect(attempts).toEqual([
      [id, 1],
      [id, 2],
    ]);
    expect(await deadOf(queue)).toEqual([]);
  });

  test("a dead task is done after a retry, under the id it always had", async () => {
    const queue = open({ backplane: await make(), maxDeliveries: 1 });
    const id = await queue.add({ to: "alice" });
    let broken = true;
    const ids: string[] = [];
    void queue.process((_task, context) => {
      ids.push(context.id);
      if (broken) throw new Error("broken");
    });
    await until(queue, { dead: 1 });
    expect(await deadOf(queue)).toEqual([
      {
        id,
        task: { to: "alice" },
        attempts: 1,
        error: "Error: broken",
        diedAt: expect.any(Number),
      },
    ]);
    broken = false;
    for await (const letter of queue.dead()) expect(await queue.retry(letter.id)).toBe(true);
    await until(queue, { waiting: 0, inWork: 0, dead: 0 });
    expect(ids).toEqual([id, id]);
    expect(await queue.retry(id)).toBe(false);
    expect(await queue.discard(id)).toBe(false);
  });

  test("a handler that never settles costs the others nothing, and is handed back by a close", async () => {
    const backplane = await make();
    const patient = { backplane, visibilityMs: 3_600_000 };
    const queue = open(patient);
    const id = await queue.add("stuck");
    const signals: AbortSignal[] = [];
    const stuck = gate();
    void queue.process(
      (task, { signal }) => {
        if (task !== "stuck") return;
        signals.push(signal);
        stuck.open();
        return new Promise(() => {});
      },
      { concurrency: 2 },
    );
    await stuck.opened;
    for (let i = 0; i < 20; i++) await queue.add(i);
    await until(queue, { waiting: 0, inWork: 1 });
    const lost = new Promise((resolve) => queue.on("lost", resolve));
    await queue.close({ drainMs: 50 });
    expect(await lost).toEqual({ id, attempt: 1 });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    // Due at once, although its visibility timeout is an hour.
    const other = open(patient);
    const again = new Promise((resolve) => {
      void other.process((task, context) => resolve([task, context.id, context.attempt]));
    });
    expect(await again).toEqual(["stuck", id, 2]);
  });

  test("what a handler does after its task was handed back counts for nothing", async () => {
    const backplane = await make();
    const first = open({ backplane, visibilityMs: 3_600_000 });
    await first.add("x");
    const [begun, late] = [gate(), gate()];
    const outcomes: string[] = [];
    for (const event of ["done", "failed", "dead"] as const) {
      first.on(event, () => outcomes.push(event));
    }
    void first.process(async () => {
      begun.open();
      await late.opened;
    });
    await begun.opened;
    await first.close({ drainMs: 0 });
    const second = open({ backplane, visibilityMs: 3_600_000 });
    const finish = gate();
    const attempts: number[] = [];
    const taken = gate();
    void second.process(async (_task, { attempt }) => {
      attempts.push(attempt);
      taken.open();
      await finish.opened;
    });
    await taken.opened;
    late.open();
    expect(await second.stats()).toMatchObject({ waiting: 0, inWork: 1 });
    finish.open();
    await until(second, { waiting: 0, inWork: 0 });
    expect(attempts).toEqual([2]);
    expect(outcomes).toEqual([]);
  });

  test("processing resolves when its signal stops it, after what it had begun is done", async () => {
    const queue = open({ backplane: await make() });
    for (let i = 0; i < 3; i++) await queue.add(i);
    const stopping = new AbortController();
    const [begun, finish] = [gate(), gate()];
    const processed = queue.process(
      async () => {
        begun.open();
        await finish.opened;
      },
      { concurrency: 1, signal: stopping.signal },
    );
    await begun.opened;
    stopping.abort();
    finish.open();
    await processed;
    expect(await queue.stats()).toMatchObject({ waiting: 2, inWork: 0, local: { done: 1 } });
    // And may go on, here or elsewhere.
    void queue.process(() => {});
    await until(queue, { waiting: 0, inWork: 0 });
    await expect(queue.process(() => {})).rejects.toMatchObject({ code: "already_processing" });
  });

  test("an idle worker stops, and one whose signal was aborted before does not begin", async () => {
    const queue = open({ backplane: await make() });
    const stopping = new AbortController();
    const processed = queue.process(() => {}, { signal: stopping.signal });
    await queue.add("x");
    await until(queue, { waiting: 0, inWork: 0 });
    stopping.abort();
    await processed;
    await queue.add("y");
    await queue.process(() => {}, { signal: stopping.signal });
    expect(await queue.stats()).toMatchObject({ waiting: 1, inWork: 0 });
  });

  test("a closed queue says so, and closing again changes nothing", async () => {
    const queue = open({ backplane: await make() });
    await queue.add("x");
    await Promise.all([queue.close(), queue.close({ drainMs: 0 })]);
    await queue.close();
    const closed = { code: "queue_closed" };
    await expect(queue.add("y")).rejects.toMatchObject(closed);
    await expect(queue.process(() => {})).rejects.toMatchObject(closed);
    await expect(queue.stats()).rejects.toMatchObject(closed);
    await expect(queue.retry("x")).rejects.toMatchObject(closed);
    await expect(queue.discard("x")).rejects.toMatchObject(closed);
    await expect(deadOf(queue)).rejects.toMatchObject(closed);
  });

  test("a listener that throws harms nobody, and its failure is told", async () => {
    const queue = open({ backplane: await make() });
    const errors: [unknown, string][] = [];
    queue.on("error", (error, { stage }) => {
      errors.push([error, stage]);
      throw new Error("again");
    });
    const failure = new Error("listener");
    const done: string[] = [];
    queue.on("done", () => {
      throw failure;
    });
    const silence = queue.on("done", () => done.push("silenced"));
    silence();
    queue.on("done", ({ id }) => done.push(id));
    const id = await queue.add("x");
    void queue.process(() => {});
    await until(queue, { waiting: 0, inWork: 0 });
    expect(done).toEqual([id]);
    expect(errors).toEqual([[failure, "listener:done"]]);
  });
});

test("queues without a backplane keep their tasks to themselves, and work in one process", async () => {
  const queue = open({});
  await queue.add("mine");
  expect(await open({}).stats()).toMatchObject({ waiting: 0 });
  const task = new Promise((resolve) => void queue.process(resolve));
  expect(await task).toBe("mine");
});

test("a queue is closed where its scope ends", async () => {
  let closed: TaskQueue;
  {
    await using queue = new TaskQueue();
    await queue.add("x");
    closed = queue;
  }
  await expect(closed.add("y")).rejects.toMatchObject({ code: "queue_closed" });
});

test("an option that does not exist is refused by name, and those there are are told", async () => {
  const misspelt: unknown = { visibilityMS: 1000 };
  expect(() => new TaskQueue(misspelt as TaskQueueOptions)).toThrow(
    "TaskQueue has no option visibilityMS; there are name, backplane, instanceId, visibilityMs, maxDeliveries, maxLength, maxDead.",
  );
  for (const none of [null, 5]) {
    expect(() => new TaskQueue(none as never)).toThrow(/options of TaskQueue must be an object/);
  }
  const queue = open({});
  await expect(queue.process(() => {}, { concurency: 2 } as object)).rejects.toThrow(
    "process has no option concurency; there are concurrency, signal.",
  );
  await expect(queue.add("x", { idempotencykey: "a" } as object)).rejects.toThrow(
    "add has no option idempotencykey; there are idempotencyKey.",
  );
  expect(() => queue.close({ drainMS: 5 } as object)).toThrow(
    "close has no option drainMS; there are drainMs.",
  );
});

test("a wrong option is named, with its value and what is allowed", async () => {
  const wrong: [TaskQueueOptions, RegExp][] = [
    [{ visibilityMs: 99 }, /visibilityMs must be milliseconds from 100 to 86400000, not 99/],
    [{ visibilityMs: Number.NaN }, /visibilityMs .* not NaN/],
    [{ maxDeliveries: 0 }, /maxDeliveries must be a whole number from 1 to 1000, not 0/],
    [{ maxLength: 1.5 }, /maxLength .* not 1.5/],
    [{ maxDead: 0 }, /maxDead .* not 0/],
    [{ name: "a\u0000b" }, /The queue "a\\u0000b" holds a control character/],
    [{ name: "" }, /The queue "" is empty/],
    [{ instanceId: "{x}" }, /instance id/],
  ];
  for (const [options, message] of wrong) {
    expect(() => new TaskQueue(options)).toThrow(RangeError);
    expect(() => new TaskQueue(options)).toThrow(message);
  }
  const queue = open({});
  await expect(queue.process(() => {}, { concurrency: 0 })).rejects.toThrow(/concurrency .* not 0/);
  const text: unknown = "x";
  await expect(queue.process(text as () => void)).rejects.toThrow(TypeError);
  await expect(queue.process(() => {}, { signal: text as AbortSignal })).rejects.toThrow(/signal/);
  expect(() => queue.close({ drainMs: -1 })).toThrow(/drainMs .* not -1/);
  for (const idempotencyKey of ["", "x".repeat(1025)]) {
    await expect(queue.add("x", { idempotencyKey })).rejects.toThrow(RangeError);
  }
  await expect(queue.add("x", { idempotencyKey: 1 as never })).rejects.toThrow(TypeError);
});
