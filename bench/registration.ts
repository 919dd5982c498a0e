// How long presence takes to be whole again when Redis comes back empty: 100,000 users in two rooms each,
// held by one instance. Connections are left out: what is measured lies between the manager and Redis.
//
//   npm run bench:registration -- [users]
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import type { Instance } from "../src/backplane/contract/backplane.ts";
import type { BrokerStatus } from "../src/backplane/contract/broker.ts";
import { redisBackplane } from "../src/backplane/redis/redis-backplane.ts";
import { startRedisServer } from "../test/support/redis-server.ts";

const users = Number(process.argv[2] ?? 100_000);
const ROOM_SIZE = 20;

const statuses: BrokerStatus[] = [];
const instance: Instance = {
  id: "bench",
  receive: () => 0,
  statusChanged: (status) => void statuses.push(status),
  roomsAsUser: () => [],
  raise: () => {},
  report: (error) => console.error(String(error)),
};

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

const first = await startRedisServer();
const { presence, start, stop } = attach(first.url);
await start();

const began = performance.now();
for (let i = 0; i < users; i += 1000) {
  await Promise.all(
    Array.from({ length: Math.min(1000, users - i) }, async (_, offset) => {
      const user = `user-${i + offset}`;
      await presence.online(user, { connectedAt: Date.now(), metadata: {} });
      await presence.enter(`room-${Math.floor((i + offset) / ROOM_SIZE)}`, user);
      await presence.enter(`topic-${(i + offset) % 1000}`, user);
    }),
  );
}
console.log(`${users} users came online one by one, in two rooms each, in ${seconds(began)}`);

await first.kill();
while (statuses.at(-1) !== "degraded") await wait(1);
const second = await startRedisServer({ port: first.port });
const back = performance.now();
while (statuses.at(-1) !== "connected") await wait(1);
console.log(`Redis is back, empty; messages flow again after ${seconds(back)}`);
const redis = createClient({ url: second.url });
await redis.connect();
// Reads wait until this instance has told Redis everything.
while ((await presence.onlineCount().catch(() => 0)) < users) await wait(10);
console.log(`presence is whole again after ${seconds(back)}`);
// A user is a member of everyone online and of two rooms, and each of these rooms is one of theirs.
const places = await redis.keys("ws:members:*");
const sizes = await Promise.all(places.map((place) => redis.hLen(place)));
const entries = sizes.reduce((sum, size) => sum + size, 0);
if (entries !== users * 5) throw new Error(`Redis has ${entries} entries, not ${users * 5}.`);
const memory = /used_memory_human:(\S+)/.exec(await redis.info("memory"))?.[1];
console.log(`Redis holds it in ${memory}`);

const leaving = performance.now();
const gone = await presence.withdraw();
console.log(`taken back in good order, ${gone.length} departures, in ${seconds(leaving)}`);
redis.destroy();
await stop();
await second.dispose();
await first.dispose();

function attach(url: string): ReturnType<ReturnType<typeof redisBackplane>["attach"]> {
  const attachment = redisBackplane({ url }).attach(instance);
  return {
    kind: attachment.kind,
    broker: attachment.broker,
    presence: attachment.presence,
    history: attachment.history,
    receipts: attachment.receipts,
    start: () => attachment.start(),
    stop: () => attachment.stop(),
  };
}
