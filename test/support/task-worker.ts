// A process that works off the default queue, for tests that kill and freeze real processes. A task takes
// about a tenth of a second, each another time, so that some are always in work. What happens is printed, a
// line for each event: the word, the task, its attempt, the time.
import { setTimeout as wait } from "node:timers/promises";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { TaskQueue } from "../../src/tasks/task-queue.ts";

const [url = "", instanceId = "", visibilityMs = "", concurrency = ""] = process.argv.slice(2);
const queue = new TaskQueue({
  backplane: redisBackplane({ url }),
  instanceId,
  visibilityMs: Number(visibilityMs),
});

function say(word: string, { id, attempt }: { id: string; attempt: number }): void {
  process.stdout.write(`${word} ${id} ${attempt} ${Date.now()}\n`);
}

queue.on("done", (event) => say("done", event));
queue.on("lost", (event) => say("lost", event));
queue.on("error", (error, { stage }) => console.error(stage, error));
process.once("SIGTERM", () => void queue.close());

console.log("ready");
await queue.process(
  async (_task, context) => {
    say("begin", context);
    await wait(50 + Math.random() * 100);
  },
  { concurrency: Number(concurrency) },
);
await queue.close();
