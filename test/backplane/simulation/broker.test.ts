import { describe, expect, test } from "vitest";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { Recorder } from "../../../src/testing/recorder.ts";
import { Seeded } from "../../../src/testing/simulation/seeded.ts";
import { VirtualClock } from "../../../src/testing/simulation/virtual-clock.ts";
import { FakeRedis } from "../../support/fake-redis/fake-redis.ts";

const SEEDS = Number(process.env.SEEDS ?? 100);

function message(text: string) {
  return { type: "message", message: EncodedMessage.from(text), except: null } as const;
}

/**
 * Two instances publish to rooms that fill and empty, over sockets that are not equally fast; `disturb` is asked at
 * each step.
 */
async function run(seed: number, disturb: (redis: FakeRedis, random: Seeded) => void) {
  const random = new Seeded(seed);
  const clock = new VirtualClock(random);
  const redis = new FakeRedis(clock, random, {
    delay: [0.1, 20],
    late: [1, 3000],
    arrivesLate: 0.5,
  });
  return clock.run(async () => {
    const members = [];
    for (const id of ["a", "b"]) {
      const recorder = new Recorder(id);
      const attachment = clock.as(id, () =>
        redisBackplane({ client: redis.client(id) }).attach(recorder),
      );
      await clock.as(id, () => attachment.start());
      members.push({ id, recorder, attachment, wanted: new Map<string, string[]>() });
    }
    let sent = 0;
    const publications: Promise<unknown>[] = [];
    const own: { id: string; text: string; count: number }[] = [];
    for (let step = 0; step < 150; step++) {
      disturb(redis, random);
      const member = members[random.between(0, 1)];
      if (member === undefined) continue;
      const room = `room:${random.between(1, 4)}` as const;
      await clock.as(member.id, async () => {
        const { broker } = member.attachment;
        if (random.chance(0.3)) {
          await broker.subscribe(room);
          member.wanted.set(room, []);
        } else if (random.chance(0.2)) {
          member.wanted.delete(room);
          broker.unsubscribe(room);
        } else {
          const text = `${member.id} ${++sent}`;
          const subscribed = member.wanted.has(room);
          publications.push(
            broker.publish(room, message(text)).then((publication) => {
              if (subscribed) own.push({ id: member.id, text, count: publication.localRecipients });
            }),
          );
        }
      });
      await clock.sleep(random.pick([0, 1, 10, 300, 2000]) * random.next());
    }
    await Promise.all(publications);
    await clock.sleep(10_000);
    for (const { attachment } of members) await attachment.stop();
    return { members, own };
  });
}

describe("messages in the simulation", () => {
  test("rooms that empty while messages are on their way do not make an instance lose Redis", async () => {
    for (let seed = 1; seed <= SEEDS / 5; seed++) {
      const random = new Seeded(seed);
      const clock = new VirtualClock(random);
      const redis = new FakeRedis(clock, random, { delay: [1, 20], late: [0, 0], arrivesLate: 0 });
      await clock.run(async () => {
        const recorder = new Recorder("a");
        const attachment = redisBackplane({ client: redis.client("a") }).attach(recorder);
        await attachment.start();
        const { broker } = attachment;
        const rooms = Array.from({ length: 20 }, (_, i) => `room:${i}` as const);
        await Promise.all(rooms.map((room) => broker.subscribe(room)));
        for (const room of rooms) broker.unsubscribe(room);
        await clock.sleep(1500);
        const publications = [];
        // A room is left two to four seconds after the last interest in it.
        for (let round = 0; round < 600; round++) {
          for (const room of rooms) publications.push(broker.publish(room, message(`${round}`)));
          await clock.sleep(5);
        }
        for (const { scope } of await Promise.all(publications)) expect(scope).toBe("cluster");
        await clock.sleep(3000);
        expect([seed, recorder.statuses]).toEqual([seed, ["connected"]]);
        const got = recorder.received.map(({ channel, packet }) => {
          return `${channel} ${packet.type === "message" ? packet.message.data : ""}`;
        });
        expect(new Set(got).size).toBe(got.length);
        await attachment.stop();
      });
    }
  });

  test("nobody gets a message twice or a sender's out of order, and subscribed senders get their own", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { members, own } = await run(seed, (redis, random) => {
        if (random.chance(0.03)) redis.break(random.pick(["a", "b"]));
        if (random.chance(0.01)) redis.hang(random.between(100, 4000));
      });
      for (const { recorder } of members) {
        for (const sender of ["a", "b"]) {
          for (const room of [1, 2, 3, 4]) {
            const numbers = recorder.received
              .filter(({ channel }) => channel === `room:${room}`)
              .map(({ packet }) =>
                packet.type === "message" ? packet.message.data.toString() : "",
              )
              .filter((text) => text.startsWith(sender))
              .map((text) => Number(text.split(" ")[1]));
            const ordered = [...new Set(numbers)].sort((x, y) => x - y);
            expect([seed, sender, room, numbers]).toEqual([seed, sender, room, ordered]);
          }
        }
      }
      for (const { id, text, count } of own) {
        const member = members.find((each) => each.id === id);
        const got = member?.recorder.texts.filter((each) => each === text).length;
        expect([seed, text, got, count]).toEqual([seed, text, 1, 1]);
      }
    }
  });
});
