// How long two instances with many quiet durable rooms each take to know, after Redis was frozen for 3 s, that they have
// missed nothing. Connections are left out: what is measured lies between the rooms and Redis.
//
//   npm run bench:durable-rooms -- [rooms]
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { redisBackplane } from "../src/backplane/redis/redis-backplane.ts";
import { Feeds } from "../src/durable/feeds.ts";
import { EncodedMessage } from "../src/protocol/encoded-message.ts";
import { startRedisServer } from "../test/support/redis-server.ts";

const rooms = Number(process.argv[2] ?? 100_000);
const FROZEN_MS = 3000;
const RULES = { maxLength: 100, ttlMs: 3_600_000, resumeLimit: 100 };

const server = await startRedisServer();
const redis = createClient({ url: server.url });
await redis.connect();

interface Side {
  readonly name: string;
  readonly feeds: Feeds;
  status: string;
  stop(): Promise<void>;
}

async function start(name: string): Promise<Side> {
  const attachment = redisBackplane({ url: server.url }).attach({
    id: name,
    receive: () => 0,
    statusChanged: (status) => {
      side.status = status;
      if (status === "connected") feeds.recovered();
    },
    roomsAsUser: () => [],
    raise: () => {},
    report: (error) => console.error(String(error)),
  });
  const feeds = new Feeds(attachment.history, (error) => console.error(String(error)));
  const side: Side = { name, feeds, status: "", stop: () => attachment.stop() };
  await attachment.start();
  for (let i = 0; i < rooms; i += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, rooms - i) }, async (_, offset) => {
        const channel = `room:${name} ${i + offset}` as const;
        const message = {
          type: "message",
          message: EncodedMessage.from("x"),
          except: null,
        } as const;
        await attachment.history.append(channel, message, RULES);
        const nobody = { deliver: () => 0, audience: () => 0, gap: () => console.error("a gap") };
        await feeds.follow({ channel, ...nobody }, RULES).opened;
      }),
    );
  }
  return side;
}

async function calls(): Promise<number> {
  const [, processed] = /total_commands_processed:(\d+)/.exec(await redis.info("stats")) ?? [];
  return Number(processed);
}

const sides = [await start("a"), await start("b")];
while (sides.some(({ feeds }) => feeds.toCompare > 0)) await wait(10);
console.log(`2 × ${rooms} quiet durable rooms; Redis stands still for ${FROZEN_MS / 1000} s`);
server.stop();
await wait(FROZEN_MS);
const before = sides.map(({ status }) => status);
server.cont();
const began = performance.now();
while (sides.some(({ status, feeds }) => status !== "connected" || feeds.toCompare > 0)) {
  await wait(10);
}
const seconds = (performance.now() - began) / 1000;
console.log(`status when it went on: ${before.join(", ")}`);
console.log(
  `all rooms compared ${seconds.toFixed(1)} s after it went on, with ${await calls()} commands in all`,
);
for (const { stop } of sides) await stop();
redis.destroy();
await server.dispose();
process.exit(0);
