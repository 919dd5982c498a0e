import { expect, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { Roster } from "../../../src/presence/roster.ts";
import { PresenceWatch } from "../../../src/presence/watch.ts";
import { Recorder } from "../../../src/testing/recorder.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

test("users who move between instances are never told gone to who watches their room, and compares", async () => {
  const random = new Seeded(1);
  const clock = new VirtualClock(random);
  const redis = new FakeRedis(clock, random, { delay: [1, 20], late: [0, 0], arrivesLate: 0 });
  await clock.run(async () => {
    const [a, b, c] = ["a", "b", "c"].map((id) =>
      redisBackplane({ client: redis.client(id) }).attach(new Recorder(id)),
    );
    if (a === undefined || b === undefined || c === undefined) return;
    for (const each of [a, b, c]) await each.start();
    const users = Array.from({ length: 100 }, (_, i) => `user ${i}`);
    await Promise.all(users.map((user) => a.presence.enter("room", user)));
    const roster = new Roster(() => c.presence.roomUsers("room"));
    const watching = new PresenceWatch("room", roster);
    await c.presence.watch("room", roster);
    roster.missed();
    expect(await watching.next()).toMatchObject({ type: "snapshot" });
    const told: unknown[] = [];
    const reading = (async () => {
      for (let next = await watching.next(); next !== null; next = await watching.next()) {
        told.push(next);
      }
    })();
    for (let round = 0; round < 20; round++) {
      const [from, to] = round % 2 === 0 ? [a, b] : [b, a];
      for (const user of users.slice(0, 10)) {
        roster.missed();
        await clock.sleep(random.between(0, 40));
        await to.presence.enter("room", user);
        await from.presence.exit("room", user);
      }
    }
    await clock.sleep(1000);
    await a.presence.enter("room", "end");
    await clock.sleep(1000);
    watching.end();
    await reading;
    expect(told).toEqual([{ type: "join", user: "end", room: "room" }]);
    for (const each of [a, b, c]) await each.stop();
  });
});
