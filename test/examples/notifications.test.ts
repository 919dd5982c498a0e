import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, type PipedProcess, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

async function start(env: Record<string, string>): Promise<{ url: string; child: PipedProcess }> {
  const file = join(repositoryRoot, "examples/notifications/main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: repositoryRoot,
    env: { ...process.env, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const [url] = await new ProcessOutput(child).match(/http:\/\/\S+?:\d+/);
  return { url, child };
}

const connect = (url: string, user: string): Promise<Client> =>
  Client.connect(`${url.replace("http:", "ws:")}/notifications?user=${user}`);

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/notifications`, { method: "POST", body: JSON.stringify(body), headers });

test("a notification accepted by one instance reaches the user's devices on all of them", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const [one, two] = await Promise.all([1, 2].map(() => start({ REDIS_URL: redis.url })));
  if (one === undefined || two === undefined) throw new Error("not started");
  const devices = [await connect(one.url, "alice"), await connect(two.url, "alice")];
  const bob = await connect(two.url, "bob");
  for (const { url } of [one, two]) {
    const accepted = await post(url, { user_id: "alice", message: "Your report is ready" });
    expect(accepted.status).toBe(202);
    const { id } = (await accepted.json()) as { id: string };
    for (const device of devices) {
      expect(await device.nextJson()).toEqual({
        type: "notification",
        id,
        message: "Your report is ready",
      });
    }
  }
  // Told twice by a client that was not sure: sent once.
  const key = { "Idempotency-Key": "report-7" };
  const body = { user_id: "bob", message: "once" };
  const ids = [await post(one.url, body, key), await post(two.url, body, key)].map(
    async (response) => ((await response.json()) as { id: string }).id,
  );
  expect(await ids[0]).toBe(await ids[1]);
  await post(one.url, { user_id: "bob", message: "last" });
  const messages = [await bob.nextJson(), await bob.nextJson()].map(({ message }) => message);
  expect(messages.sort()).toEqual(["last", "once"]);

  for (const wrong of [{}, { user_id: "", message: "x" }, "text", null]) {
    expect((await post(one.url, wrong)).status).toBe(400);
  }
  expect((await fetch(one.url)).status).toBe(404);
  for (const { child } of [one, two]) {
    await end(child, "SIGTERM");
    expect(child.exitCode).toBe(0);
  }
});

test("it runs in one process, without Redis", async () => {
  const { url, child } = await start({ REDIS_URL: "" });
  const alice = await connect(url, "alice");
  await post(url, { user_id: "alice", message: "hi" });
  expect(await alice.nextJson()).toMatchObject({ type: "notification", message: "hi" });
  await end(child, "SIGTERM");
  expect(child.exitCode).toBe(0);
});
