// Tasks a second through Roomcast's queue and through BullMQ, in turns on the same Redis: added first, then worked
// off by one process, 50 at a time, with a handler that does nothing.
//
//   npm run bench:tasks -- [tasks] [rounds]
import { Queue, Worker } from "bullmq";
import { redisBackplane } from "../src/backplane/redis/redis-backplane.ts";
import { TaskQueue } from "../src/tasks/task-queue.ts";
import { startRedisServer } from "../test/support/redis-server.ts";

const tasks = Number(process.argv[2] ?? 20_000);
const rounds = Number(process.argv[3] ?? 3);
const CONCURRENCY = 50;
/** How many are on their way to Redis at a time while they are added. */
const ADDING = 200;

interface Result {
  readonly added: number;
  readonly done: number;
}

type Subject = (port: number) => Promise<Result>;

async function addAll(add: (number: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < tasks; i += ADDING) {
    await Promise.all(Array.from({ length: Math.min(ADDING, tasks - i) }, (_, j) => add(i + j)));
  }
  return perSecond(began);
}

function perSecond(since: number): number {
  return tasks / ((performance.now() - since) / 1000);
}

async function roomcast(port: number): Promise<Result> {
  const backplane = redisBackplane({ url: `redis://127.0.0.1:${port}` });
  const queue = new TaskQueue({ backplane, maxLength: tasks });
  const added = await addAll((number) => queue.add({ number }));
  let left = tasks;
  const began = performance.now();
  await new Promise<void>((resolve) => {
    queue.on("done", () => --left === 0 && resolve());
    void queue.process(() => {}, { concurrency: CONCURRENCY });
  });
  const done = perSecond(began);
  await queue.close();
  return { added, done };
}

async function bullmq(port: number): Promise<Result> {
  // As its documentation says: no retries of commands, since a worker blocks.
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  const options = { removeOnComplete: true, attempts: 5 };
  const queue = new Queue("tasks", { connection, defaultJobOptions: options });
  const added = await addAll((number) => queue.add("task", { number }));
  let left = tasks;
  const began = performance.now();
  const worker = new Worker("tasks", async () => {}, {
    connection,
    concurrency: CONCURRENCY,
    autorun: false,
  });
  await new Promise<void>((resolve) => {
    worker.on("completed", () => --left === 0 && resolve());
    void worker.run();
  });
  const done = perSecond(began);
  await worker.close();
  await queue.close();
  return { added, done };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

const SUBJECTS: readonly [string, Subject][] = [
  ["Roomcast", roomcast],
  ["BullMQ", bullmq],
];
const results = new Map<string, Result[]>(SUBJECTS.map(([name]) => [name, []]));
console.log(`${tasks} tasks, ${CONCURRENCY} at a time, medians of ${rounds}`);
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of SUBJECTS) {
    const server = await startRedisServer();
    results.get(name)?.push(await run(server.port));
    await server.dispose();
  }
}
for (const [name, all] of results) {
  const shown = (what: keyof Result): string =>
    Math.round(median(all.map((result) => result[what])))
      .toLocaleString("en")
      .padStart(7);
  console.log(`  ${name.padEnd(9)} ${shown("added")} added/s  ${shown("done")} done/s`);
}
