import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import type { TaskQueueOptions } from "../../src/tasks/queue-options.ts";
import { type DeadTask, TaskQueue, type TaskQueueStats } from "../../src/tasks/task-queue.ts";
import { useDisposals } from "../support/disposals.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();

interface Opened {
  readonly queue: TaskQueue;
  /** Every error that was told: its stage, and what it says. */
  readonly errors: string[];
}

function open(port: number, options: TaskQueueOptions = {}): Opened {
  const backplane = redisBackplane({ url: `redis://127.0.0.1:${port}` });
  const queue = new TaskQueue({ backplane, ...options });
  onDispose(() => queue.close({ drainMs: 0 }));
  const errors: string[] = [];
  queue.on("error", (error, { stage }) => errors.push(`${stage}: ${error}`));
  return { queue, errors };
}

async function startRedis(options: Parameters<typeof startRedisServer>[0] = {}) {
  const server = await startRedisServer(options);
  onDispose(server.dispose);
  return server;
}

async function throughProxy(server: RedisServer): Promise<TcpProxy> {
  const proxy = await startTcpProxy(server.port);
  onDispose(proxy.dispose);
  return proxy;
}

/** A person with redis-cli, or a program in another language. */
async function operator({ url }: RedisServer) {
  const client = createClient({ url });
  await client.connect();
  onDispose(() => client.destroy());
  return client;
}

async function deadOf(queue: TaskQueue): Promise<DeadTask[]> {
  const dead: DeadTask[] = [];
  for await (const letter of queue.dead()) dead.push(letter);
  return dead;
}

async function until(queue: TaskQueue, wanted: Partial<TaskQueueStats>): Promise<void> {
  const look = (): Promise<unknown> => queue.stats().catch(String);
  await expect.poll(look).toMatchObject(wanted);
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

test("tasks are where other programs look for them, and those they add are done", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const { queue } = open(server.port, { instanceId: "worker-1" });
  const id = await queue.add({ user_id: "alice" });
  expect(await redis.xRange("ws:tasks", "-", "+")).toEqual([
    { id, message: { data: '{"user_id":"alice"}' } },
  ]);
  // As `xadd("ws:tasks", {"data": json.dumps(task)})` does it.
  await redis.xAdd("ws:tasks", "*", { data: '{"user_id": "bob"}' });
  const seen: unknown[] = [];
  const both = gate();
  void queue.process(async (task) => {
    seen.push(task);
    if (seen.length === 2) both.open();
    await both.opened;
  });
  await both.opened;
  expect(seen).toEqual([{ user_id: "alice" }, { user_id: "bob" }]);
  const consumers = await redis.xInfoConsumers("ws:tasks", "ws:workers");
  expect(consumers.map(({ name }) => name)).toEqual(["worker-1"]);
  await until(queue, { waiting: 0, inWork: 0 });
  expect(await redis.xLen("ws:tasks")).toBe(0);
  const { queue: mail } = open(server.port, { name: "mail" });
  await mail.add("x");
  expect(await redis.xLen("ws:tasks:mail")).toBe(1);
});

test("garbage that somebody wrote by hand is a dead letter at once, and harms nobody", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const { queue, errors } = open(server.port, { visibilityMs: 3_600_000 });
  const garbage = [
    ["hello", "world"],
    ["data", ""],
    ["data", "{"],
    ["data", Buffer.from([0x22, 0xff, 0x22])],
    ["DATA", "1"],
    ["origin", "", "data", "nope"],
    ["origin", "x", "origin", "y"],
  ];
  for (const fields of garbage) {
    await redis.sendCommand(["XADD", "ws:tasks", "*", ...fields]);
  }
  await redis.xAdd("ws:tasks", "*", { more: "fields", data: '"fine"', origin: "by hand" });
  const tasks: unknown[] = [];
  void queue.process((task, { id }) => tasks.push([id, task]));
  await until(queue, { waiting: 0, inWork: 0, dead: garbage.length });
  expect(tasks).toEqual([["by hand", "fine"]]);
  const dead = await deadOf(queue);
  for (const { error, attempts } of dead) {
    expect(error).toBe("It is not a task: an entry needs the field data, with JSON.");
    expect(attempts).toBe(1);
  }
  expect(dead.map(({ task }) => task)).toContain("{");
  expect(dead.map(({ task }) => task)).toContainEqual(["hello", "world"]);
  // A retry changes nothing about what it is; a discard removes it.
  expect(await queue.retry(dead[0]?.id ?? "")).toBe(true);
  await until(queue, { waiting: 0, inWork: 0, dead: garbage.length });
  for (const { id } of await deadOf(queue)) expect(await queue.discard(id)).toBe(true);
  expect(await queue.stats()).toMatchObject({ waiting: 0, inWork: 0, dead: 0 });
  expect(errors).toEqual([]);
});

test("an entry that somebody deletes while it is in work is lost to its worker, and to nobody else", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const { queue, errors } = open(server.port, { visibilityMs: 600 });
  const id = await queue.add("x");
  const begun = gate();
  const lost = new Promise((resolve) => queue.on("lost", resolve));
  void queue.process(async (task, { signal }) => {
    if (task !== "x") return;
    begun.open();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  await begun.opened;
  await redis.sendCommand(["XACK", "ws:tasks", "ws:workers", id]);
  await redis.xDel("ws:tasks", id);
  expect(await lost).toEqual({ id, attempt: 1 });
  await queue.add("y");
  await until(queue, { waiting: 0, inWork: 0, dead: 0 });
  expect(errors).toEqual([]);
});

test("FLUSHALL in the middle: what was lost is said, and what is added afterwards is done", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const { queue, errors } = open(server.port, { visibilityMs: 1000 });
  const [begun, finish] = [gate(), gate()];
  const done: string[] = [];
  queue.on("done", ({ id }) => done.push(id));
  const lost = new Promise((resolve) => queue.on("lost", resolve));
  void queue.process(async (task) => {
    if (task !== "slow") return;
    begun.open();
    await finish.opened;
  });
  const slow = await queue.add("slow");
  await begun.opened;
  await redis.flushAll();
  expect(await lost).toEqual({ id: slow, attempt: 1 });
  finish.open();
  const id = await queue.add("after");
  await expect.poll(() => done).toEqual([id]);
  expect(errors).toEqual([expect.stringContaining("Redis has lost the queue tasks")]);
  // Also while it waits for tasks, and also without the scripts.
  await redis.flushAll();
  await redis.scriptFlush();
  await expect.poll(() => errors.length).toBe(2);
  const another = await queue.add("again");
  await expect.poll(() => done).toEqual([id, another]);
});

test("a Redis that comes back empty is the same: its workers go on", async () => {
  const server = await startRedis();
  const { queue, errors } = open(server.port);
  await queue.add("lost");
  const seen: unknown[] = [];
  void queue.process((task) => seen.push(task));
  await until(queue, { waiting: 0, inWork: 0 });
  await server.kill();
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  await startRedis({ port: server.port });
  await expect.poll(() => queue.add("new").catch(String)).toMatch(/^\d+-\d+$/);
  await expect.poll(() => seen).toContain("new");
  expect(errors.join()).toContain("Redis has lost the queue tasks");
});

test("while Redis is away add rejects, workers wait, and what they finish counts when it is back", async () => {
  const server = await startRedis();
  const proxy = await throughProxy(server);
  const { queue, errors } = open(proxy.port, { visibilityMs: 60_000 });
  const watching = open(server.port).queue;
  const [begun, finish] = [gate(), gate()];
  const calls: unknown[] = [];
  void queue.process(async (task) => {
    calls.push(task);
    if (task !== "slow") return;
    begun.open();
    await finish.opened;
  });
  await queue.add("slow");
  await begun.opened;
  proxy.cut();
  await expect
    .poll(() => queue.add("no").catch((error: unknown) => error))
    .toMatchObject({ outcome: "not-stored" });
  await expect(queue.add("no")).rejects.toThrow(BackplaneUnavailableError);
  await expect(queue.stats()).rejects.toThrow(BackplaneUnavailableError);
  finish.open();
  await watching.add("meanwhile");
  expect(await watching.stats()).toMatchObject({ waiting: 1, inWork: 1 });
  proxy.restore();
  await until(watching, { waiting: 0, inWork: 0, dead: 0 });
  expect(calls).toEqual(["slow", "meanwhile"]);
  await until(queue, { local: { added: 1, done: 2, failed: 0, dead: 0, lost: 0 } });
  // Told once for the outage, not for each attempt.
  expect(new Set(errors).size).toBe(errors.length);
});

test("a Redis that hangs leaves open whether a task was added, and workers go on when it is back", async () => {
  const server = await startRedis();
  const { queue } = open(server.port, { visibilityMs: 60_000 });
  const seen: unknown[] = [];
  void queue.process((task) => seen.push(task));
  await queue.add("before");
  await until(queue, { waiting: 0, inWork: 0 });
  server.stop();
  await expect(queue.add("perhaps")).rejects.toMatchObject({ outcome: "unknown" });
  server.cont();
  await expect.poll(() => queue.add("after").catch(String)).toMatch(/^\d+-/);
  await expect.poll(() => seen).toContain("after");
});

test("a task that was finished while Redis hung is done once, and not lost", async () => {
  const server = await startRedis();
  const { queue } = open(server.port, { visibilityMs: 60_000 });
  const watching = open(server.port).queue;
  const [begun, finish] = [gate(), gate()];
  const outcomes: string[] = [];
  for (const event of ["done", "failed", "lost"] as const) {
    queue.on(event, () => outcomes.push(event));
  }
  void queue.process(async () => {
    begun.open();
    await finish.opened;
  });
  await queue.add("x");
  await begun.opened;
  server.stop();
  finish.open();
  // Nobody knows then whether the acknowledgement arrived.
  await expect(queue.add("y")).rejects.toMatchObject({ outcome: "unknown" });
  server.cont();
  await until(watching, { inWork: 0, dead: 0 });
  await expect.poll(() => outcomes[0]).toBe("done");
  expect(outcomes).not.toContain("lost");
});

test("a worker can be stopped while Redis is away, and what it had is done when its time is up", async () => {
  const server = await startRedis();
  const proxy = await throughProxy(server);
  const { queue } = open(proxy.port, { visibilityMs: 1000 });
  const begun = gate();
  void queue.process(() => {
    begun.open();
    return new Promise(() => {});
  });
  await queue.add("x");
  await begun.opened;
  proxy.cut();
  await queue.close({ drainMs: 10 });
  const other = open(server.port, { visibilityMs: 1000 }).queue;
  const seen = new Promise((resolve) => void other.process(resolve));
  expect(await seen).toBe("x");
});

test("a worker that starts before Redis does waits for it", async () => {
  const server = await startRedis();
  await server.kill();
  const { queue, errors } = open(server.port);
  const seen = new Promise((resolve) => void queue.process(resolve));
  await expect(queue.add("x")).rejects.toMatchObject({ outcome: "not-stored" });
  await startRedis({ port: server.port });
  await expect.poll(() => queue.add("x").catch(String)).toMatch(/^\d+-/);
  expect(await seen).toBe("x");
  expect(errors.join()).toContain("ECONNREFUSED");
});

test("a worker that is cut off loses its task to another, is told, and cannot acknowledge it", async () => {
  const server = await startRedis();
  const proxy = await throughProxy(server);
  const cutOff = open(proxy.port, { visibilityMs: 1500, instanceId: "cut-off" }).queue;
  const other = open(server.port, { visibilityMs: 1500, instanceId: "other" }).queue;
  const [begun, late] = [gate(), gate()];
  const reasons: unknown[] = [];
  void cutOff.process(async (_task, { signal }) => {
    begun.open();
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    await late.opened;
  });
  const id = await cutOff.add("x");
  await begun.opened;
  proxy.blackHole();
  const finish = gate();
  const taken = new Promise((resolve) => {
    void other.process(async (_task, { attempt }) => {
      resolve(attempt);
      await finish.opened;
    });
  });
  expect(await taken).toBe(2);
  await expect.poll(() => reasons.length).toBe(1);
  expect(reasons[0]).toMatchObject({ code: "task_lost" });
  const lost = new Promise((resolve) => cutOff.on("lost", resolve));
  proxy.restore();
  late.open();
  expect(await lost).toEqual({ id, attempt: 1 });
  expect(await other.stats()).toMatchObject({ waiting: 0, inWork: 1 });
  finish.open();
  await until(other, { waiting: 0, inWork: 0, dead: 0 });
  expect((await other.stats()).local).toMatchObject({ done: 1, lost: 0 });
  await until(cutOff, { local: { added: 1, done: 0, failed: 0, dead: 0, lost: 1 } });
});

test("consumers of instances that are gone are cleared away once they hold nothing", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const { queue } = open(server.port, { instanceId: "alive", visibilityMs: 500 });
  const id = await queue.add("x");
  await redis.xGroupCreate("ws:tasks", "ws:workers", "0");
  await redis.xReadGroup("ws:workers", "gone", { key: "ws:tasks", id: ">" });
  await redis.xGroupCreateConsumer("ws:tasks", "ws:workers", "idle");
  const done = new Promise((resolve) => queue.on("done", resolve));
  void queue.process(() => {});
  // First what it holds is taken over, and only then is it forgotten.
  expect(await done).toEqual({ id, attempt: 2 });
  const names = async (): Promise<unknown> =>
    (await redis.xInfoConsumers("ws:tasks", "ws:workers")).map(({ name }) => name);
  await expect.poll(names).toEqual(["alive"]);
  await queue.close();
  expect(await names()).toEqual([]);
});

test("however many workers there are, one of them looks for abandoned tasks each second", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  const errors: string[][] = [];
  for (let i = 0; i < 6; i++) {
    const opened = open(server.port, { instanceId: `worker ${i}`, visibilityMs: 60_000 });
    errors.push(opened.errors);
    void opened.queue.process(() => {});
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  await redis.sendCommand(["CONFIG", "RESETSTAT"]);
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const stats = await redis.info("commandstats");
  const looks = Number(/cmdstat_xpending:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  expect(looks).toBeGreaterThanOrEqual(2);
  expect(looks).toBeLessThanOrEqual(7);
  expect(errors.flat()).toEqual([]);
});

test("a queue whose key is something else says so, and goes on when it is mended", async () => {
  const server = await startRedis();
  const redis = await operator(server);
  await redis.set("ws:tasks", "mine");
  const { queue, errors } = open(server.port);
  await expect(queue.add("x")).rejects.toThrow("WRONGTYPE");
  const seen = new Promise((resolve) => void queue.process(resolve));
  await expect.poll(() => errors.join()).toContain("receive: ");
  await redis.del("ws:tasks");
  await queue.add("x");
  expect(await seen).toBe("x");
});

test("the permissions that suffice for presence suffice for tasks", async () => {
  const allowed = "~ws:* &ws:* +@read +@write +@pubsub +@scripting +@connection +info +time";
  const server = await startRedis({ config: [`user app on >secret ${allowed}`] });
  const url = `redis://app:secret@127.0.0.1:${server.port}`;
  const { queue, errors } = open(server.port, {
    backplane: redisBackplane({ url }),
    visibilityMs: 500,
    maxDeliveries: 2,
  });
  await queue.add("fails", { idempotencyKey: "key" });
  void queue.process(() => Promise.reject(new Error("no")));
  await until(queue, { dead: 1 });
  for await (const { id } of queue.dead()) expect(await queue.discard(id)).toBe(true);
  await queue.close();
  expect(errors).toEqual([]);
});

test("a primary that becomes a replica is an outage, told once, and no lost queue", async () => {
  const primary = await startRedis();
  const other = await startRedis({
    config: [`replicaof 127.0.0.1 ${primary.port}`, "repl-diskless-sync-delay 0"],
  });
  const { queue, errors } = open(primary.port);
  const done: unknown[] = [];
  const working = queue.process((task) => void done.push(task));
  await queue.add("before");
  await expect.poll(() => done).toEqual(["before"]);
  const redis = await operator(primary);
  const heir = await operator(other);
  await expect.poll(() => heir.info("replication")).toMatch(/master_link_status:up/);
  await redis.sendCommand(["FAILOVER"]);
  await expect.poll(() => errors.join()).toContain("takes no writes");
  // Long enough for several attempts.
  const attempts = async (): Promise<number> =>
    Number(/total_connections_received:(\d+)/.exec(await redis.info("stats"))?.[1]);
  const first = await attempts();
  await expect.poll(attempts).toBeGreaterThan(first + 4);
  expect(errors.filter((error) => error.includes("takes no writes"))).toHaveLength(1);
  expect(errors.join()).not.toContain("lost the queue");
  await redis.sendCommand(["REPLICAOF", "NO", "ONE"]);
  await expect.poll(() => queue.add("after").catch(String)).not.toContain("Error");
  await expect.poll(() => done).toContain("after");
  await queue.close();
  await working;
});
