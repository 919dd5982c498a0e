import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { describe, expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { TaskQueue } from "../../src/tasks/task-queue.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

function roomcast(args: readonly string[], env: Record<string, string> = {}) {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "tasks", ...args], {
    env: { ...process.env, REDIS_URL: "", ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

async function startRedis(): Promise<RedisServer> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  return server;
}

/** A queue in which each of these tasks has failed for good. */
async function withDead(
  server: RedisServer,
  tasks: readonly unknown[],
  name = "tasks",
): Promise<{ queue: TaskQueue; ids: string[] }> {
  const queue = new TaskQueue({
    name,
    maxDeliveries: 1,
    backplane: redisBackplane({ url: server.url }),
  });
  onDispose(() => queue.close());
  const stopping = new AbortController();
  const ids: string[] = [];
  const working = queue.process(() => Promise.reject(new Error("no \u001b[31mroute\nto host")), {
    signal: stopping.signal,
  });
  const dead = new Set<string>();
  queue.on("dead", ({ id }) => dead.add(id));
  for (const task of tasks) {
    const id = await queue.add(task);
    ids.push(id);
    // One after another, so that they die in this order.
    await expect.poll(() => dead.has(id)).toBe(true);
  }
  stopping.abort();
  await working;
  return { queue, ids };
}

describe("roomcast tasks", () => {
  test("shows the queue and its dead letters, and each of them whole", async () => {
    const server = await startRedis();
    const { queue, ids } = await withDead(server, [{ to: "alice" }, "\u001b[2J"]);
    await queue.add("waiting");
    const { status, stdout, stderr } = roomcast([], { REDIS_URL: server.url });
    expect([status, stderr]).toEqual([0, ""]);
    const [state, first, second, ...rest] = stdout.split("\n");
    expect(state).toMatch(/^tasks: 1 waiting, 0 in work, 2 dead, the oldest since 2.*Z$/);
    expect(first).toMatch(
      new RegExp(`^${ids[0]}  2\\S+Z  1 attempt  Error: no \\\\u001b\\[31mroute\\\\u000ato host$`),
    );
    expect(second).toContain(ids[1]);
    expect(rest).toEqual([""]);
    // What a handler threw must not drive somebody's terminal.
    expect(stdout).not.toContain("\u001b");

    const shown = roomcast(["show", ids[1] ?? ""], { REDIS_URL: server.url });
    expect(shown).toMatchObject({ status: 0, stderr: "" });
    expect(shown.stdout).toMatch(/^task {6}"\\u001b\[2J"$/m);
    const json = roomcast(["list", "--json"], { REDIS_URL: server.url });
    expect(
      json.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      {
        id: ids[0],
        task: { to: "alice" },
        attempts: 1,
        error: "Error: no \u001b[31mroute\nto host",
      },
      { id: ids[1], task: "\u001b[2J" },
    ]);
  });

  test("retries and discards those it is told, or all", async () => {
    const server = await startRedis();
    const { queue, ids } = await withDead(server, [1, 2, 3, 4, 5]);
    const env = { REDIS_URL: server.url };
    const [a = "", b = "", c = ""] = ids;
    expect(roomcast(["retry", a, b], env)).toEqual({
      status: 0,
      stdout: "2 put back into the queue\n",
      stderr: "",
    });
    expect(await queue.stats()).toMatchObject({ waiting: 2, dead: 3 });
    expect(roomcast(["discard", c], env).stdout).toBe("1 discarded\n");
    expect(roomcast(["retry", "--all"], env).stdout).toBe("2 put back into the queue\n");
    expect(roomcast(["discard", "--all"], env).stdout).toBe("0 discarded\n");
    expect(await queue.stats()).toMatchObject({ waiting: 4, dead: 0 });
  });

  test("has an error and exit code 1 for what is not dead, and does the rest", async () => {
    const server = await startRedis();
    const { ids } = await withDead(server, [1]);
    const env = { REDIS_URL: server.url };
    expect(roomcast(["retry", "1-1", ids[0] ?? ""], env)).toEqual({
      status: 1,
      stdout: "1 put back into the queue\n",
      stderr: 'roomcast: There is no dead letter "1-1" in tasks.\n',
    });
    for (const action of ["show", "discard"]) {
      const { status, stderr } = roomcast([action, "1-1"], env);
      expect([status, stderr]).toEqual([1, expect.stringContaining("no dead letter")]);
    }
  });

  test("finds other queues and prefixes", async () => {
    const server = await startRedis();
    const { ids } = await withDead(server, [1], "mail");
    const REDIS_URL = server.url;
    expect(roomcast(["--queue", "mail"], { REDIS_URL }).stdout).toContain(ids[0]);
    expect(roomcast([], { REDIS_URL }).stdout).toBe("tasks: 0 waiting, 0 in work, 0 dead\n");
    const prefixed = { REDIS_URL, WS_CHANNEL_PREFIX: "other:" };
    expect(roomcast(["--queue", "mail"], prefixed).stdout).toContain("0 dead");
  });

  test("says what is wrong with what it was told", async () => {
    const REDIS_URL = `redis://127.0.0.1:${await freePort()}`;
    const wrong: [string[], Record<string, string>, RegExp][] = [
      [[], {}, /Set REDIS_URL/],
      [["list"], { REDIS_URL: "http://x" }, /REDIS_URL .*redis:\/\//],
      [["burn"], { REDIS_URL }, /no action "burn"; there are: list, show, retry, discard/],
      [["list", "1-1"], { REDIS_URL }, /list takes no ids/],
      [["show"], { REDIS_URL }, /show takes one id/],
      [["show", "1-1", "1-2"], { REDIS_URL }, /show takes one id/],
      [["retry"], { REDIS_URL }, /retry takes the ids of dead letters, or --all/],
      [["discard", "--all", "1-1"], { REDIS_URL }, /discard takes the ids/],
      [["--queue", "{x}"], { REDIS_URL }, /--queue must be a name/],
      [["--quiet"], { REDIS_URL }, /--quiet.*roomcast tasks --help/],
      [[], { REDIS_URL }, /Redis cannot be used: .*ECONNREFUSED/],
    ];
    for (const [args, env, message] of wrong) {
      const { status, stdout, stderr } = roomcast(args, env);
      expect([args, status, stdout, stderr]).toEqual([args, 1, "", expect.stringMatching(message)]);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
    expect(roomcast(["--help"]).stdout).toContain("roomcast tasks retry <id>");
  });

  test("shows garbage that somebody wrote into the queue", async () => {
    const server = await startRedis();
    const redis = createClient({ url: server.url });
    await redis.connect();
    onDispose(() => redis.destroy());
    await redis.xAdd("ws:tasks", "*", { data: "{oops" });
    const { queue } = await withDead(server, [1]);
    await expect.poll(async () => (await queue.stats()).dead).toBe(2);
    const { stdout } = roomcast([], { REDIS_URL: server.url });
    expect(stdout).toContain("It is not a task");
  });
});
