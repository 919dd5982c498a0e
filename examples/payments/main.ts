// Tasks that are done once, though they may be tried more often: charging a card.
import { createClient } from "@redis/client";
import { TaskQueue } from "roomcast";
import { redisBackplane } from "roomcast/redis";

const { REDIS_URL: url = "redis://localhost:6379" } = process.env;
const accounts = await createClient({ url }).connect();

interface Payment {
  readonly account: string;
  readonly cents: number;
}

await using queue = new TaskQueue<Payment>({
  name: "payments",
  backplane: redisBackplane({ url }),
  visibilityMs: 1000,
});

void queue.process(async ({ account, cents }, { id, attempt }) => {
  // Written under the task's id: whoever does the task again finds it there, and changes nothing.
  await accounts.hSetNX(`account:${account}`, id, String(cents));
  // As if the process had died here, after the payment and before the queue could be told.
  if (attempt === 1) throw new Error("power failure");
});

const done = new Promise<number>((resolve) => {
  queue.on("done", ({ attempt }) => resolve(attempt));
});
// The key is the order's: whoever is not sure that it was added may add it again.
for (let i = 0; i < 2; i++) {
  await queue.add({ account: "alice", cents: 500 }, { idempotencyKey: "order-17" });
}
console.log(`Done at attempt ${await done}.`);
const payments = await accounts.hVals("account:alice");
console.log(`Alice has paid ${payments.length} time: ${payments} cents.`);
accounts.destroy();
