import { spawn } from "node:child_process";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { TaskQueue } from "../../src/tasks/task-queue.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, type PipedProcess, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

const TASKS = 10_000;
const VISIBILITY_MS = 3000;
const CONCURRENCY = 25;

interface Line {
  readonly worker: string;
  readonly word: string;
  readonly id: string;
  readonly attempt: number;
  readonly at: number;
}

class TaskWorker {
  readonly name: string;
  readonly process: PipedProcess;
  readonly output: ProcessOutput;

  constructor(url: string, name: string) {
    this.name = name;
    const script = join(repositoryRoot, "test/support/task-worker.ts");
    this.process = spawn(
      process.execPath,
      ["--import", "tsx", script, url, name, String(VISIBILITY_MS), String(CONCURRENCY)],
      { cwd: repositoryRoot, stdio: ["ignore", "pipe", "pipe"] },
    );
    this.output = new ProcessOutput(this.process);
    onDispose(() => end(this.process, "SIGKILL"));
  }

  get lines(): Line[] {
    return this.output.text
      .split("\n")
      .filter((line) => /^(begin|done|lost) \S+ \d+ \d+$/.test(line))
      .map((line) => {
        const [word = "", id = "", attempt, at] = line.split(" ");
        return { worker: this.name, word, id, attempt: Number(attempt), at: Number(at) };
      });
  }
}

test("10,000 tasks are done though a worker is killed and another is frozen beyond its time", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const queue = new TaskQueue({ backplane: redisBackplane({ url: server.url }) });
  onDispose(() => queue.close());
  const redis = createClient({ url: server.url });
  await redis.connect();
  onDispose(() => redis.destroy());
  const added: string[] = [];
  for (let i = 0; i < TASKS; i += 500) {
    added.push(...(await Promise.all(Array.from({ length: 500 }, (_, j) => queue.add(i + j)))));
  }

  const [killed, frozen, steady] = ["killed", "frozen", "steady"].map(
    (name) => new TaskWorker(server.url, name),
  ) as [TaskWorker, TaskWorker, TaskWorker];
  const all = [killed, frozen, steady];
  const doneBy = (worker: TaskWorker): number =>
    worker.lines.filter(({ word }) => word === "done").length;
  for (const worker of all) {
    await expect.poll(() => doneBy(worker)).toBeGreaterThan(100);
  }
  /** The tasks a worker has, as Redis sees it. */
  const heldBy = async ({ name }: TaskWorker): Promise<string[]> =>
    (await redis.xPendingRange("ws:tasks", "ws:workers", "-", "+", 100, { consumer: name })).map(
      ({ id }) => id,
    );

  const killedAt = Date.now();
  await end(killed.process, "SIGKILL");
  // What it had sent before has been heard when Redis knows that it is gone.
  const clients = async (): Promise<string> => String(await redis.sendCommand(["CLIENT", "LIST"]));
  await expect.poll(clients).not.toContain("name=roomcast:killed");
  const orphans = new Set(await heldBy(killed));
  frozen.process.kill("SIGSTOP");
  const held = new Set(await heldBy(frozen));
  expect(orphans.size).toBeGreaterThan(0);
  expect(held.size).toBeGreaterThan(0);
  await expect.poll(() => heldBy(frozen)).toEqual([]);
  frozen.process.kill("SIGCONT");
  await expect
    .poll(() => queue.stats(), { interval: 200 })
    .toMatchObject({ waiting: 0, inWork: 0, dead: 0 });
  for (const { process } of [frozen, steady]) await end(process, "SIGTERM");

  const lines = all.flatMap((worker) => worker.lines);
  const begun = lines.filter(({ word }) => word === "begin");
  expect([...new Set(begun.map(({ id }) => id))].sort()).toEqual(added.sort());
  // Acknowledged once each; only what they had in the end the killed and the frozen one cannot tell.
  const done = lines.filter(({ word }) => word === "done");
  const acknowledged = new Set(done.map(({ id }) => id));
  expect(acknowledged.size).toBe(done.length);
  const inDoubt = new Set([...killed.lines, ...frozen.lines].map(({ id }) => id));
  const untold = added.filter((id) => !acknowledged.has(id));
  expect(untold.filter((id) => !inDoubt.has(id))).toEqual([]);
  expect(untold.length).toBeLessThanOrEqual(2 * CONCURRENCY);
  // By whoever had it last, and never by one who had lost it.
  const last = new Map<string, number>();
  for (const { id, attempt } of begun) last.set(id, Math.max(last.get(id) ?? 0, attempt));
  expect(done.filter(({ id, attempt }) => attempt !== last.get(id))).toEqual([]);
  const again = (ids: Set<string>): Line[] =>
    begun.filter(({ worker, id, attempt }) => worker === "steady" && attempt > 1 && ids.has(id));
  expect(again(held).length).toBeGreaterThan(0);
  const lost = frozen.lines.filter(({ word }) => word === "lost").map(({ id }) => id);
  expect(lost).toEqual(expect.arrayContaining(again(held).map(({ id }) => id)));
  // The promise itself, not a speed test: visibility plus 2 s.
  expect(again(orphans).length).toBeGreaterThan(0);
  const latest = Math.max(...again(orphans).map(({ at }) => at));
  expect(latest - killedAt).toBeLessThan(VISIBILITY_MS + 2000);
});

test("a worker that is told to stop finishes what it has begun, and its process ends", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const queue = new TaskQueue({ backplane: redisBackplane({ url: server.url }) });
  onDispose(() => queue.close());
  for (let i = 0; i < 500; i++) await queue.add(i);
  const worker = new TaskWorker(server.url, "stopped");
  await worker.output.match(/done /);
  await end(worker.process, "SIGTERM");
  expect(worker.process.exitCode).toBe(0);
  const { waiting, inWork } = await queue.stats();
  expect(inWork).toBe(0);
  const [begun, done] = ["begin", "done"].map((wanted) =>
    worker.lines.filter(({ word }) => word === wanted),
  ) as [Line[], Line[]];
  expect(done.length).toBe(begun.length);
  expect(waiting).toBe(500 - done.length);
});
