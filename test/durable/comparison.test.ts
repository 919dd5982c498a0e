import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../src/backplane/contract/backplane.ts";
import type { LogName } from "../../src/backplane/contract/history-store.ts";
import type { Client } from "../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { Feeds } from "../../src/durable/feeds.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();
const RULES = { maxLength: 100, ttlMs: 3_600_000, resumeLimit: 100 };
const ROOMS = 3000;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await wait(5);
}

test("an instance that is back reads only the logs that have something new, and asks for the ends of all in batches", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const redis = createClient({ url: server.url }) as Client;
  await redis.connect();
  onDispose(() => redis.destroy());
  const way = await startTcpProxy(server.port);
  onDispose(way.dispose);
  const join = async (id: string, port: number): Promise<Attachment> => {
    const recorder = new Recorder(id);
    const instance = Object.assign(recorder, {
      statusChanged: (status: string) => {
        if (id === "behind" && status === "connected") feeds.recovered();
      },
      receive: (channel: LogName, packet: Parameters<Recorder["receive"]>[1]) => {
        const feed = followed.get(channel);
        return packet.type === "message" && feed !== undefined ? feed.receive(packet) : 0;
      },
    });
    const attachment = redisBackplane({ url: `redis://127.0.0.1:${port}` }).attach(instance);
    onDispose(() => attachment.stop());
    return attachment;
  };
  const told: string[] = [];
  const failures: unknown[] = [];
  const followed = new Map<string, ReturnType<Feeds["follow"]>["feed"]>();
  const behind = await join("behind", way.port);
  const feeds = new Feeds(behind.history, (error) => void failures.push(error));
  onDispose(() => feeds.stop());
  await behind.start();
  const other = await join("other", server.port);
  await other.start();
  const append = (room: number, text: string) =>
    other.history.append(
      `room:${room}`,
      { type: "message", message: EncodedMessage.from(text), except: null },
      RULES,
    );
  for (let first = 0; first < ROOMS; first += 500) {
    await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const channel = `room:${first + i}` as const;
        await append(first + i, "before");
        const { feed, opened } = feeds.follow(
          {
            channel,
            deliver: ({ message }) => told.push(`${channel} ${message.data}`),
            audience: () => 1,
            gap: () => void told.push(`${channel} gap`),
          },
          RULES,
        );
        followed.set(channel, feed);
        await opened;
      }),
    );
  }
  await until(() => [...followed.values()].every((feed) => !feed.isReading));
  way.cut();
  await until(() => behind.broker.status === "degraded");
  for (const room of [7, 1500, 2999]) await append(room, "missed");
  // One that cannot be read keeps no other from being compared.
  await redis.sendCommand(["SET", "ws:log:room:8", "garbage"]);
  await redis.sendCommand(["DEL", "ws:log-end:room:8"]);
  await redis.sendCommand(["CONFIG", "RESETSTAT"]);
  way.restore();
  await until(() => told.length >= 3 && feeds.toCompare === 0);
  expect(told.sort()).toEqual(["room:1500 missed", "room:2999 missed", "room:7 missed"]);
  const stats = String(await redis.sendCommand(["INFO", "commandstats"]));
  const scripts = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
  expect(scripts).toBeLessThan(60);
  expect(failures.every((error) => String(error).includes("WRONGTYPE"))).toBe(true);
  expect(failures.length).toBeGreaterThan(0);
});
