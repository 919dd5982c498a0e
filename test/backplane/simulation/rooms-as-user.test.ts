import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { Recorder } from "../../../src/testing/recorder.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { ENTRY } from "../../../src/testing/simulation/simulated-instance.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const LEASE_MS = 3000;

async function change(
  { presence, broker }: Attachment,
  type: "join" | "leave",
  room: string,
): Promise<void> {
  const { version } = await (type === "join"
    ? presence.joinAsUser("alice", room)
    : presence.leaveAsUser("alice", room));
  await broker.publish("user:alice", { type, room, version });
}

/** Two instances that hold alice. */
async function simulate(
  work: (
    redis: FakeRedis,
    clock: VirtualClock,
    a: Attachment,
    b: Attachment & { readonly recorder: Recorder },
  ) => Promise<void>,
): Promise<void> {
  const random = new Seeded(1);
  const clock = new VirtualClock(random);
  const redis = new FakeRedis(clock, random, { delay: [1, 2], late: [0, 0], arrivesLate: 0 });
  await clock.run(async () => {
    const attachments = [];
    for (const id of ["a", "b"]) {
      const backplane = redisBackplane({ client: redis.client(id), leaseMs: LEASE_MS });
      const recorder = new Recorder(id);
      const attachment = clock.as(id, () => backplane.attach(recorder));
      attachments.push(Object.assign(attachment, { recorder }));
      await attachment.start();
      await attachment.broker.subscribe("user:alice");
      await attachment.presence.online("alice", ENTRY);
    }
    const [a, b] = attachments;
    if (a !== undefined && b !== undefined) await work(redis, clock, a, b);
    for (const attachment of attachments) await attachment.stop();
  });
}

test("a join asked for in the moment Redis goes back to an older state holds, though it was one before", async () => {
  await simulate(async (redis, clock, a, b) => {
    await change(a, "join", "vip");
    const older = redis.keyspace.snapshot();
    await change(a, "leave", "vip");
    await clock.sleep(50);
    redis.cut("b");
    redis.restart(older);
    // Not noticed yet. What was left is told again by b, later; this came after it.
    await change(a, "join", "vip");
    await clock.sleep(500);
    redis.heal("b");
    await clock.sleep(LEASE_MS * 4);
    expect(await b.presence.online("alice", ENTRY)).toMatchObject({ rooms: ["vip"] });
  });
});

test("a room that was left while its instance was cut off is left everywhere, though Redis had no room for the join", async () => {
  await simulate(async (redis, clock, a, b) => {
    redis.fill(true);
    await change(a, "join", "vip");
    await clock.sleep(50);
    redis.cut("a");
    await clock.sleep(50);
    await change(a, "leave", "vip");
    redis.fill(false);
    redis.heal("a");
    await clock.sleep(LEASE_MS * 4);
    expect(b.recorder.received.map(({ packet }) => packet.type)).toEqual(["join", "leave"]);
    expect(await b.presence.online("alice", ENTRY)).toMatchObject({ rooms: [] });
  });
});
