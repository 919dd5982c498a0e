import { expect, test } from "vitest";
import { useDisposals } from "../support/disposals.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function ask(url: string): Promise<[number, Record<string, unknown>]> {
  const response = await fetch(url);
  return [response.status, JSON.parse(await response.text())];
}

test("over its memory an instance is not ready, and says so; it lives all the same", async () => {
  const server = await startServe({ args: ["--max-memory", "1"] });
  onDispose(server.dispose);
  const [status, body] = await ask(`${server.url}/health/ready`);
  expect(status).toBe(503);
  expect(body.reasons).toEqual([
    expect.stringMatching(/^It takes \d+ MB of memory, over the limit of 1\.0 MB\.$/),
  ]);
  expect((await ask(`${server.url}/health/live`))[0]).toBe(200);
  expect((await ask(`${server.url}/health/websocket`))[0]).toBe(200);
});

test("without Redis it says so, until Redis is back", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const server = await startServe({ env: { REDIS_URL: redis.url } });
  onDispose(server.dispose);
  const ready = () => ask(`${server.url}/health/ready`);
  expect((await ready())[1].reasons).toBeUndefined();
  redis.stop();
  await expect
    .poll(async () => (await ready())[1].reasons)
    .toEqual(["Redis cannot be reached: messages stay on this instance."]);
  redis.cont();
  await expect.poll(async () => (await ready())[0]).toBe(200);
});
