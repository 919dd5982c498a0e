/**
 * Notifications for users, sent by whatever instance has time. Run it on several ports with the same Redis:
 *
 *   REDIS_URL=redis://localhost:6379 PORT=3000 npx tsx examples/notifications/main.ts
 *
 * Connect to ws://localhost:3000/notifications?user=alice, and on any of them
 *
 *   curl localhost:3001/notifications -H 'Content-Type: application/json' \
 *     -d '{"user_id":"alice","message":"Your report is ready"}'
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  BackplaneUnavailableError,
  ConnectionManager,
  memoryBackplane,
  QueueFullError,
  TaskQueue,
  WebSocketRouter,
} from "roomcast";
import { redisBackplane } from "roomcast/redis";
import { z } from "zod";

const { REDIS_URL: url, PORT = "3000" } = process.env;
const backplane = url ? redisBackplane({ url }) : memoryBackplane();

const notification = z.object({ user_id: z.string().min(1), message: z.string().min(1) });

const manager = new ConnectionManager({ backplane });
const queue = new TaskQueue({ backplane, name: "notifications", visibilityMs: 5000 });
const router = new WebSocketRouter(manager, {
  // For trying out: people say who they are. See docs/authentication.md for the real thing.
  authenticate: (request) => {
    const id = new URL(request.url ?? "", "http://localhost").searchParams.get("user");
    return id === null ? null : { id, scopes: [], claims: {}, via: "example" };
  },
});
router.protected("/notifications", {});

/** Checked here too: anybody who can write to Redis can add a task. */
async function send(task: unknown, { id }: { id: string }): Promise<void> {
  const { user_id, message } = notification.parse(task);
  // The client knows a repetition by the id.
  const { scope } = await manager.sendToUser(user_id, { type: "notification", id, message });
  // Then it did not get to the other instances for certain: it is tried again.
  if (scope !== "cluster") throw new Error(`Sent as far as ${scope}.`);
}

async function accept(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parsed = notification.safeParse(await readJson(request));
  if (!parsed.success) return answer(response, 400, { error: z.prettifyError(parsed.error) });
  const idempotencyKey = request.headers["idempotency-key"];
  try {
    const id = await queue.add(
      parsed.data,
      typeof idempotencyKey === "string" ? { idempotencyKey } : {},
    );
    answer(response, 202, { id });
  } catch (error) {
    if (error instanceof QueueFullError || error instanceof BackplaneUnavailableError) {
      answer(response, 503, { error: error.code });
    } else if (error instanceof RangeError) answer(response, 400, { error: error.message });
    else throw error;
  }
}

/** undefined for what is no JSON or too long. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 100_000) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

const server = createServer((request, response) => {
  const accepted = request.method === "POST" && request.url === "/notifications";
  if (!accepted) return answer(response, 404, { error: "not_found" });
  accept(request, response).catch((error) => {
    console.error(error);
    answer(response, 500, { error: "internal" });
  });
});

queue.on("dead", ({ id, error }) => console.error(`Notification ${id} was given up: ${error}`));
queue.on("error", (error, { stage }) => console.error(`The queue, ${stage}: ${error}`));

router.attach(server);
await manager.start();
const processing = queue.process(send, { concurrency: 20 });
server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", async () => {
  server.close();
  await queue.close();
  await processing;
  await manager.stop();
});
