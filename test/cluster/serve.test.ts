import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startRedisCluster } from "../support/redis-cluster.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function serve(REDIS_URL: string): Promise<ServeProcess> {
  const started = await startServe({ env: { REDIS_URL } });
  onDispose(started.dispose);
  return started;
}

async function enter(client: Client): Promise<unknown> {
  client.send({ type: "join", room: "lobby" });
  return (await client.nextOfType("joined")).users;
}

const redises: Readonly<Record<string, () => Promise<string>>> = {
  "one Redis": async () => {
    const redis = await startRedisServer();
    onDispose(redis.dispose);
    return redis.url;
  },
  "one Redis Cluster": async () => {
    const cluster = await startRedisCluster();
    onDispose(cluster.dispose);
    return cluster.urls.join(",");
  },
};

test.each(Object.entries(redises))(
  "two servers on %s are one place: rooms, people, direct messages, history",
  async (_name, startRedis) => {
    const url = await startRedis();
    const [one, two] = [await serve(url), await serve(url)];
    const alice = await Client.connect(`${one.wsUrl}/ws?user=alice`);
    const bob = await Client.connect(`${two.wsUrl}/ws?user=bob`);
    expect(await enter(alice)).toEqual(["alice"]);
    expect((await enter(bob)) as string[]).toHaveLength(2);
    bob.send({ type: "room_message", room: "lobby", data: "hi" });
    for (const client of [alice, bob]) {
      expect(await client.nextOfType("message")).toMatchObject({ from: "bob", data: "hi" });
    }
    alice.send({ type: "direct_message", to: "bob", data: "psst" });
    expect(await bob.nextOfType("dm")).toEqual({ type: "dm", from: "alice", data: "psst" });
    alice.send({ type: "history", room: "lobby" });
    expect((await alice.nextOfType("history")).messages).toMatchObject([{ data: { data: "hi" } }]);
    expect(await (await fetch(`${one.url}/health/ready`)).json()).toMatchObject({
      status: "healthy",
      global_online_users: 2,
      redis_connected: true,
    });
  },
);

test("a server that is stopped: nothing is told of who is back on another, and of who is not that they left", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const [one, two] = [await serve(redis.url), await serve(redis.url)];
  const watcher = await Client.connect(`${two.wsUrl}/ws?user=watcher`);
  await enter(watcher);
  for (const user of ["back", "gone"]) {
    await enter(await Client.connect(`${one.wsUrl}/ws?user=${user}`));
  }
  expect(await one.stop()).toBe(0);
  const back = await Client.connect(`${two.wsUrl}/ws?user=back`);
  expect([...((await enter(back)) as string[])].sort()).toEqual(["back", "gone", "watcher"]);
  const heard: unknown[] = [];
  for (let type: unknown = ""; type !== "user_left"; ) {
    const frame = await watcher.nextJson();
    type = frame.type;
    if (frame.user_id !== "watcher") heard.push([type, frame.user_id]);
  }
  expect(heard).toEqual([
    ["user_joined", "back"],
    ["user_joined", "gone"],
    ["user_left", "gone"],
  ]);
  back.send({ type: "room_message", room: "lobby", data: "still here" });
  expect(await watcher.nextJson()).toMatchObject({ type: "message", from: "back" });
});

test("without its Redis a server starts, says it is degraded, and serves who is there", async () => {
  const redis = await startRedisServer();
  await redis.kill();
  const server = await serve(redis.url);
  const alice = await Client.connect(`${server.wsUrl}/ws?user=alice`);
  const bob = await Client.connect(`${server.wsUrl}/ws?user=bob`);
  for (const client of [alice, bob]) await enter(client);
  alice.send({ type: "room_message", room: "lobby", data: "alone" });
  expect(await bob.nextOfType("message")).toMatchObject({ from: "alice", data: "alone" });
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
  const again = await startRedisServer({ port: redis.port });
  onDispose(again.dispose);
  const ready = async (): Promise<number> => (await fetch(`${server.url}/health/ready`)).status;
  await expect.poll(ready).toBe(200);
  expect(alice.socket.readyState).toBe(alice.socket.OPEN);
});

test("several workers on one port are one place, and one that dies is replaced", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const server = await startServe({
    args: ["--workers", "2"],
    env: { REDIS_URL: redis.url, WS_PRESENCE_TTL: "2" },
  });
  onDispose(server.dispose);
  const clients: Client[] = [];
  for (let i = 0; i < 8; i++) {
    const client = await Client.connect(`${server.wsUrl}/ws?user=user${i}`);
    await enter(client);
    clients.push(client);
  }
  const health: unknown = await (await fetch(`${server.url}/health/websocket`)).json();
  expect(health).toMatchObject({ global_online_users: 8 });
  clients[0]?.send({ type: "room_message", room: "lobby", data: "to all" });
  for (const client of clients) {
    expect(await client.nextOfType("message")).toMatchObject({ data: "to all" });
  }
  // The health tells only its instance; the processes below the server's are its workers.
  const children = (): number[] =>
    spawnSync("pgrep", ["-P", String(server.process.pid)], { encoding: "utf8" })
      .stdout.split("\n")
      .flatMap((line) => (line === "" ? [] : Number(line)));
  const before = children();
  expect(before).toHaveLength(2);
  process.kill(before[0] ?? 0, "SIGKILL");
  await expect.poll(() => server.output()).toContain("takes its place");
  await expect.poll(() => children().length).toBe(2);
  const exited = new Promise((resolve) => server.process.once("exit", resolve));
  server.process.kill("SIGTERM");
  // Those of the worker that was killed were cut off, the others told.
  for (const client of clients) expect([1006, 1012]).toContain((await client.closed()).code);
  expect(await exited).toBe(0);
});

test("several workers without Redis are refused, with what to do", async () => {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const { status, stderr } = spawnSync(process.execPath, [main, "serve", "--workers", "2"], {
    env: { ...process.env, PORT: "0" },
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/--workers is 2, .* Set REDIS_URL/);
});
