import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startRedisServer } from "../support/redis-server.ts";
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

test("two servers on one Redis are one place: rooms, people, direct messages, history", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const [one, two] = [await serve(redis.url), await serve(redis.url)];
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
  await expect.poll(ready, { timeout: 15_000 }).toBe(200);
  expect(alice.socket.readyState).toBe(alice.socket.OPEN);
});
