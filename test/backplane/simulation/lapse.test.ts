import { expect, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { Recorder } from "../../../src/testing/recorder.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { ENTRY } from "../../../src/testing/simulation/simulated-instance.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const LEASE_MS = 3000;

test("an instance that was taken for dead tells who is there again, also if its connection breaks as it learns so", async () => {
  const random = new Seeded(1);
  const clock = new VirtualClock(random);
  const redis = new FakeRedis(clock, random, { delay: [1, 2], late: [0, 0], arrivesLate: 0 });
  await clock.run(async () => {
    const [a, b] = ["a", "b"].map((id) => {
      const recorder = new Recorder(id);
      const backplane = redisBackplane({ client: redis.client(id), leaseMs: LEASE_MS });
      return Object.assign(
        clock.as(id, () => backplane.attach(recorder)),
        { recorder },
      );
    });
    if (a === undefined || b === undefined) return;
    for (const each of [a, b]) await each.start();
    await a.presence.online("alice", ENTRY);
    await a.presence.enter("room", "alice");
    redis.cut("a");
    await clock.sleep(LEASE_MS * 2);
    const told = b.recorder.raised.map(({ type, user }) => `${type} ${user}`);
    expect(told.sort()).toEqual(["leave alice", "offline alice"]);
    // It hears that it is dead, and nothing of what it says then.
    let breaks = 0;
    redis.onCommand = (_name, _args, reply) => {
      if (!Array.isArray(reply) || reply[0] !== "lapsed" || breaks === 3) return;
      breaks++;
      clock.after(3, () => redis.break("a"), "network");
    };
    redis.heal("a");
    await clock.sleep(LEASE_MS * 3);
    expect(breaks).toBeGreaterThan(0);
    const again = a.recorder.raised.map(({ type, user }) => `${type} ${user}`);
    expect(again.sort()).toEqual(["join alice", "online alice"]);
    expect(await b.presence.isOnline("alice")).toBe(true);
    for (const each of [a, b]) await each.stop();
  });
});
