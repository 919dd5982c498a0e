import { expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { ReturningClient } from "../support/returning-client.ts";
import { Publisher, ROOM, rollServers, ROOMS as rooms } from "../support/rolling-restart.ts";

const onDispose = useDisposals();

// How soon everybody is back is what `npm run bench:rolling-restart` looks at.
test("a rolling restart under load: every client is back, and has every message once and in order", async () => {
  const { enveloped, texts, returns } = await rollServers(onDispose);
  for (const client of enveloped) {
    expect(client.faults).toEqual([]);
    expect(client.texts).toEqual(texts);
  }
  expect(returns.length).toBeGreaterThanOrEqual(1000);
});

test("Redis killed and restarted with its AOF: no acknowledged message is lost, none comes twice", async () => {
  const config = ["appendonly yes", "appendfsync always"];
  const redis = await startRedisServer({ config });
  onDispose(redis.dispose);
  const start = async (): Promise<ManagerServer> => {
    const one = await startManager({ backplane: redisBackplane({ url: redis.url }), rooms });
    onDispose(one.dispose);
    one.router.optional("/ws", { authorize: () => true }, { message: () => {} });
    return one;
  };
  const [one, other] = [await start(), await start()];
  const clients = Array.from(
    { length: 20 },
    (_, i) => new ReturningClient(`${(i % 2 === 0 ? one : other).url}/ws`, ROOM, true),
  );
  onDispose(() => {
    for (const client of clients) client.stop();
  });
  for (const client of clients) await client.until(() => client.isIn);

  const publisher = new Publisher(one.manager);
  const moreThan = async (count: number): Promise<void> => {
    await expect.poll(() => publisher.acknowledged.length).toBeGreaterThan(count);
  };
  let running = redis;
  for (let i = 0; i < 2; i++) {
    await moreThan(publisher.acknowledged.length + 100);
    await running.kill();
    await expect.poll(() => one.manager.status).toBe("degraded");
    running = await startRedisServer({ config, port: redis.port, folder: redis.folder });
    onDispose(running.dispose);
    await moreThan(publisher.acknowledged.length + 100);
  }
  await publisher.stop();
  const last = publisher.acknowledged.at(-1) ?? "";
  for (const client of clients) {
    await client.until(() => client.ids.includes(last));
    expect(client.faults).toEqual([]);
    expect(new Set(client.ids).size).toBe(client.ids.length);
    const got = new Set(client.ids);
    expect(publisher.acknowledged.filter((id) => !got.has(id))).toEqual([]);
    // Nobody lost the connection because of Redis.
    expect(client.returns).toEqual([]);
  }
});
