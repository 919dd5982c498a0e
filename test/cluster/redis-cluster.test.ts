import { setTimeout as wait } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { keySlot } from "../../src/backplane/redis/key-slot.ts";
import { Keys } from "../../src/backplane/redis/keys.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import type { Delivery } from "../../src/connection/connection.ts";
import type { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";

const onDispose = useDisposals();
const keys = new Keys("ws:", 256);
const LEASE_MS = 5000;

function slotOf(room: string): number {
  return keySlot(String(keys.bucketFor(`room:${room}`)));
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(20);
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

interface Member {
  readonly user: string;
  readonly client: Client;
  /** What it was sent, in order; messages are `<instance> <number>`. */
  readonly seen: string[];
}

/** Two instances with two members each in a room, and everything that was told of their users. */
async function startTwo(
  redis: RedisCluster,
  room: string,
): Promise<{ instances: ManagerServer[]; members: Member[]; told: string[] }> {
  const told: string[] = [];
  const instances: ManagerServer[] = [];
  const members: Member[] = [];
  for (const instanceId of ["here", "there"]) {
    const backplane = redisBackplane({ cluster: redis.urls, leaseMs: LEASE_MS });
    const rooms = { "kept:*": { history: {} } };
    const instance = await startManager({ backplane, instanceId, rooms });
    onDispose(instance.dispose);
    instances.push(instance);
    for (const event of ["offline", "leave"] as const) {
      instance.manager.on(event, ({ user }) => told.push(`${event} ${user}`));
    }
    for (const number of [1, 2]) {
      const user = `${instanceId}-${number}`;
      const { client, connection } = await instance.connect(user);
      await connection.join(room);
      const seen: string[] = [];
      client.socket.on("message", (data) => void seen.push(String(data)));
      members.push({ user, client, seen });
    }
  }
  return { instances, members, told };
}

/** Sends numbered messages from every instance until it is stopped; answers what became of each. */
function chatter(instances: readonly ManagerServer[], room: string): () => Promise<Delivery[]> {
  const sent: Promise<Delivery>[] = [];
  let number = 0;
  const timer = setInterval(() => {
    number++;
    for (const { manager } of instances) {
      sent.push(manager.broadcastToRoom(room, `${manager.instanceId} ${number}`));
    }
  }, 5);
  return () => {
    clearInterval(timer);
    return Promise.all(sent);
  };
}

/** Each member saw each sender's messages in order and none twice, and its own instance's all. */
function expectOrder(members: readonly Member[], sent: number): void {
  for (const { user, seen } of members) {
    for (const sender of ["here", "there"]) {
      const numbers = seen
        .filter((text) => text.startsWith(`${sender} `))
        .map((text) => Number(text.split(" ")[1]));
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      if (user.startsWith(sender)) expect(numbers).toHaveLength(sent);
    }
  }
}

/** A message of each instance reaches everybody, in the whole cluster. */
async function expectTogether(
  instances: readonly ManagerServer[],
  members: readonly Member[],
  room: string,
): Promise<void> {
  for (const { manager } of instances) {
    const last = `together ${manager.instanceId}`;
    expect(await manager.broadcastToRoom(room, last)).toEqual({
      scope: "cluster",
      localRecipients: 2,
    });
    await until(() => members.every(({ seen }) => seen.includes(last)));
  }
}

let redis: RedisCluster;
afterEach(() => redis.dispose());

test("a slot moves while messages flow: no client drops, nothing comes twice or out of order", async () => {
  redis = await startRedisCluster();
  const room = "moving";
  const { instances, members, told } = await startTwo(redis, room);
  const slot = slotOf(room);
  const from = await redis.holder(slot);
  const to = redis.primaries.find((node) => node !== from) ?? from;
  const stop = chatter(instances, room);
  await until(() => members.every(({ seen }) => seen.length > 50));
  await redis.move(slot, from, to, async () => {
    // In the midst of it: what is written now waits, and is made up for.
    await instances[0]?.connect("late");
  });
  await until(() => members.every(({ seen }) => seen.length > 200));
  await until(() => instances.every(({ manager }) => manager.status === "healthy"));
  await until(async () => {
    const outcomes = await Promise.all(
      instances.map(({ manager }) => manager.broadcastToRoom(room, "still moving")),
    );
    return outcomes.every(({ scope }) => scope === "cluster");
  });
  const deliveries = await stop();
  await expectTogether(instances, members, room);
  expectOrder(members, deliveries.length / 2);
  expect(members.map(({ client }) => client.socket.readyState)).toEqual([1, 1, 1, 1]);
  const { presence } = instances[1]?.manager ?? {};
  if (presence === undefined) throw new Error("There is no manager.");
  expect(await collect(presence.roomUsers(room))).toEqual(members.map(({ user }) => user).sort());
  await until(() => presence.isOnline("late"));
  expect(told).toEqual([]);
});

test("a primary is killed: its rooms go on here, its replica takes over, and nobody is told gone", async () => {
  redis = await startRedisCluster();
  const room = "orphaned";
  const { instances, members, told } = await startTwo(redis, room);
  const stop = chatter(instances, room);
  await until(() => members.every(({ seen }) => seen.length > 50));
  const primary = await redis.holder(slotOf(room));
  const kept = async (isHere: boolean): Promise<string> => {
    for (let i = 0; ; i++) {
      const { server } = await redis.holder(slotOf(`kept:${i}`));
      if ((server === primary.server) === isHere) return `kept:${i}`;
    }
  };
  const [lost, safe] = [await kept(true), await kept(false)];
  await primary.server.kill();
  await until(() => instances.every(({ manager }) => manager.status === "degraded"));
  const [here, there] = instances;
  if (here === undefined || there === undefined) throw new Error("There are no instances.");
  expect(await here.manager.broadcastToRoom(room, "alone")).toEqual({
    scope: "instance",
    localRecipients: 2,
  });
  // Durable rooms on the other servers do not mind.
  const sent = here.manager.broadcastToRoom(lost, "x");
  await expect(sent).rejects.toMatchObject({ outcome: "not-stored" });
  expect(await here.manager.broadcastToRoom(safe, "x")).toMatchObject({ id: expect.any(String) });
  await until(() => instances.every(({ manager }) => manager.status === "healthy"));
  const deliveries = await stop();
  await expectTogether(instances, members, room);
  expect(members.map(({ seen }) => seen.includes("alone"))).toEqual([true, true, false, false]);
  expectOrder(members, deliveries.length / 2);
  expect(members.map(({ client }) => client.socket.readyState)).toEqual([1, 1, 1, 1]);
  const { presence } = there.manager;
  const users = members.map(({ user }) => user).sort();
  expect(await collect(presence.roomUsers(room))).toEqual(users);
  expect(await collect(presence.online())).toEqual(users);
  expect(told).toEqual([]);
});
