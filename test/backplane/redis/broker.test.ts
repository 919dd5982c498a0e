import { createClient } from "@redis/client";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MessagePacket } from "../../../src/backplane/contract/broker.ts";
import { RedisLink } from "../../../src/backplane/redis/channels.ts";
import { Keys } from "../../../src/backplane/redis/keys.ts";
import { clientFactory } from "../../../src/backplane/redis/net/client-factory.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { type RedisServer, startRedisServer } from "../../support/redis-server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();

function message(value: unknown): MessagePacket {
  return { type: "message", message: EncodedMessage.from(value), except: null };
}

async function join(port: number, id: string): Promise<{ recorder: Recorder; link: RedisLink }> {
  const recorder = new Recorder(id);
  const makeClient = clientFactory({ url: `redis://127.0.0.1:${port}` }, `${id} é`);
  const link = new RedisLink(makeClient, new Keys("ws:"), recorder, `${id}#1`, {
    joining: async () => {},
    living: async () => 0,
    told: () => true,
    trouble: (error) => void recorder.troubles.push(String(error)),
  });
  onDispose(() => link.stop());
  await link.start();
  return { recorder, link };
}

async function redis(): Promise<RedisServer> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  return server;
}

describe("while Redis is there", () => {
  test("what is published in one turn travels in one message for each channel, and arrives in its order", async () => {
    const { port } = await redis();
    const a = await join(port, "a");
    const b = await join(port, "b");
    for (const { link } of [a, b]) {
      for (const room of ["room:x", "room:y"] as const) await link.broker.subscribe(room);
    }
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    await client.connect();
    onDispose(() => client.destroy());
    const seen: string[] = [];
    await client.pSubscribe("ws:room:*", (_message, channel) => void seen.push(channel));
    const texts = Array.from({ length: 1200 }, (_, i) => `${i}`);
    const told = await Promise.all(
      texts.map((text, i) => a.link.broker.publish(i % 2 ? "room:x" : "room:y", message(text))),
    );
    expect(told.every(({ localRecipients }) => localRecipients === 1)).toBe(true);
    await b.recorder.until(() => b.recorder.texts.length === texts.length);
    // No more than 500 travel together.
    expect(seen.sort()).toEqual(["ws:room:x", "ws:room:x", "ws:room:y", "ws:room:y"]);
    for (const { recorder } of [a, b]) {
      for (const rest of [0, 1]) {
        const some = (all: readonly string[]) => all.filter((text) => Number(text) % 2 === rest);
        expect(some(recorder.texts)).toEqual(some(texts));
      }
    }
  });

  test("an order comes after everything that was published before it in the same turn, and before what follows", async () => {
    const { port } = await redis();
    const a = await join(port, "a");
    for (const channel of ["room:x", "user:alice"] as const) await a.link.broker.subscribe(channel);
    const order = { type: "disconnect", code: 4000, reason: "" } as const;
    await Promise.all([
      a.link.broker.publish("room:x", message("before")),
      a.link.broker.publish("user:alice", order),
      a.link.broker.publish("room:x", message("after")),
    ]);
    expect(a.recorder.texts).toEqual(["before", "disconnect", "after"]);
  });

  test("text that people or other languages publish is delivered as text; garbage is counted", async () => {
    const { port } = await redis();
    const a = await join(port, "a");
    await a.link.broker.subscribe("room:lobby");
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    await client.connect();
    onDispose(() => client.destroy());
    await client.publish("ws:room:lobby", '{"hello":1}');
    await client.publish("ws:room:lobby", Buffer.from([0xff, 0xfe]));
    await client.publish("ws:room:lobby", Buffer.from([0, 0x52, 0x43, 1, 0, 2, 0x7b, 0x7d]));
    await client.publish("ws:room:lobby", Buffer.from([0, 0x52, 0x43, 1, 0xff]));
    await client.publish("ws:room:lobby", "end");
    await a.recorder.until(() => a.recorder.texts.includes("end"));
    expect(a.recorder.texts).toEqual(['{"hello":1}', "end"]);
    // Told once in a while, not each time.
    expect(a.recorder.troubles).toEqual([
      'Error: Messages that nobody can read come on Redis channels: 1 so far, the last on "ws:room:lobby".',
    ]);
  });

  test("a channel nobody wants any more is left after a while, and comes back when wanted", async () => {
    const { port } = await redis();
    const a = await join(port, "a");
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    await client.connect();
    onDispose(() => client.destroy());
    const subscribers = async (): Promise<number | undefined> =>
      (await client.pubSubNumSub(["ws:room:x"]))["ws:room:x"];
    await a.link.broker.subscribe("room:x");
    expect(await subscribers()).toBe(1);
    a.link.broker.unsubscribe("room:x");
    expect(await subscribers()).toBe(1);
    await expect.poll(subscribers).toBe(0);
    await a.link.broker.subscribe("room:x");
    expect(await subscribers()).toBe(1);
    expect(await client.pubSubNumPat()).toBe(0);
  });

  test("thousands of channels are subscribed in batches, and again after the subscriber was killed", async () => {
    const { port } = await redis();
    const a = await join(port, "a");
    const channels = Array.from({ length: 5000 }, (_, i) => `room:${i}` as const);
    await Promise.all(channels.map((channel) => a.link.broker.subscribe(channel)));
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    await client.connect();
    onDispose(() => client.destroy());
    await client.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
    await a.recorder.until(() => a.recorder.statuses.length === 3);
    expect(a.recorder.statuses).toEqual(["connected", "degraded", "connected"]);
    for (const channel of ["room:0", "room:4999"] as const) {
      expect(await a.link.broker.publish(channel, message("again"))).toEqual({
        scope: "cluster",
        localRecipients: 1,
      });
    }
  });
});

describe("when Redis is lost", () => {
  test("a start without Redis is degraded, delivers here, and joins when Redis comes", async () => {
    const server = await startRedisServer();
    await server.kill();
    const a = await join(server.port, "a");
    await a.link.broker.subscribe("room:x");
    expect(a.link.broker.status).toBe("degraded");
    expect(await a.link.broker.publish("room:x", message("alone"))).toEqual({
      scope: "instance",
      localRecipients: 1,
    });
    const again = await startRedisServer({ port: server.port });
    onDispose(again.dispose);
    await a.recorder.until(() => a.recorder.statuses.includes("connected"));
    expect(await a.link.broker.publish("room:x", message("together"))).toEqual({
      scope: "cluster",
      localRecipients: 1,
    });
  });

  test("what was on its way is delivered here once, in order, before anything newer", async () => {
    const server = await redis();
    const a = await join(server.port, "a");
    await a.link.broker.subscribe("room:x");
    server.stop();
    const before = Array.from({ length: 10 }, (_, i) =>
      a.link.broker.publish("room:x", message(i)),
    );
    const outcomes = await Promise.all(before);
    expect(a.link.broker.status).toBe("degraded");
    for (const outcome of outcomes)
      expect(outcome).toEqual({ scope: "unknown", localRecipients: 1 });
    expect(await a.link.broker.publish("room:x", message(10))).toEqual({
      scope: "instance",
      localRecipients: 1,
    });
    server.cont();
    await a.recorder.until(() => a.recorder.statuses.at(-1) === "connected");
    await a.link.broker.publish("room:x", message(11));
    expect(a.recorder.texts).toEqual(Array.from({ length: 12 }, (_, i) => String(i)));
  });

  test("a network that swallows everything counts as lost within three seconds", async () => {
    const { port } = await redis();
    const proxy = await startTcpProxy(port);
    onDispose(proxy.dispose);
    const a = await join(proxy.port, "a");
    proxy.blackHole();
    const lostAt = performance.now();
    await a.recorder.until(() => a.recorder.statuses.at(-1) === "degraded");
    // REDIS.md: a hung Redis counts as gone within 3 s; this is the promise itself, not a speed test.
    expect(performance.now() - lostAt).toBeLessThan(3500);
    proxy.restore();
    await a.recorder.until(() => a.recorder.statuses.at(-1) === "connected");
    expect(a.recorder.troubles.join()).toContain("PING");
  });

  test("a wrong password is told, and the instance goes on by itself", async () => {
    const server = await startRedisServer({ config: ["requirepass secret"] });
    onDispose(server.dispose);
    const a = await join(server.port, "a");
    expect(a.link.broker.status).toBe("degraded");
    expect(a.recorder.troubles.join()).toContain("NOAUTH");
  });

  test("through losses and returns no sender's messages are reordered, and none comes twice", async () => {
    const { port } = await redis();
    const proxyA = await startTcpProxy(port);
    const proxyB = await startTcpProxy(port);
    onDispose(proxyA.dispose);
    onDispose(proxyB.dispose);
    const members = [
      { ...(await join(proxyA.port, "a")), proxy: proxyA },
      { ...(await join(proxyB.port, "b")), proxy: proxyB },
    ];
    for (const { link } of members) await link.broker.subscribe("room:x");
    const step = fc.record({
      member: fc.nat(1),
      do: fc.oneof(
        { weight: 8, arbitrary: fc.constant("publish" as const) },
        { weight: 1, arbitrary: fc.constantFrom("cut", "restore", "wait") },
      ),
      count: fc.integer({ min: 1, max: 20 }),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        run++;
        for (const { recorder } of members) recorder.received.length = 0;
        const sent = [0, 0];
        const publications: Promise<unknown>[] = [];
        for (const { member: index, do: action, count } of steps) {
          const member = members[index];
          if (member === undefined) continue;
          if (action === "cut") member.proxy.cut();
          else if (action === "restore") member.proxy.restore();
          else if (action === "wait") await new Promise((resolve) => setTimeout(resolve, count));
          else {
            for (let i = 0; i < count; i++) {
              const number = (sent[index] ?? 0) + 1;
              sent[index] = number;
              const text = `${run} ${index} ${number}`;
              publications.push(member.link.broker.publish("room:x", message(text)));
            }
          }
        }
        await Promise.all(publications);
        for (const { proxy } of members) proxy.restore();
        // Whoever has got a marker of both has got everything before it. A cut may not have been noticed
        // yet, and swallow the first.
        const marker = `${run} end`;
        const arrived = (): boolean =>
          members.every(({ recorder: { texts } }) =>
            [0, 1].every((sender) => texts.includes(`${marker} ${sender}`)),
          );
        while (!arrived()) {
          for (const [index, { link }] of members.entries()) {
            await link.broker.publish("room:x", message(`${marker} ${index}`));
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const [index, { recorder }] of members.entries()) {
          for (const sender of [0, 1]) {
            const numbers = recorder.texts
              .map((text) => text.split(" "))
              .filter(([of, from]) => of === String(run) && from === String(sender))
              .map(([, , number]) => Number(number));
            expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
            // Its own messages an instance always delivers, each of them.
            if (sender === index) expect(numbers).toHaveLength(sent[sender] ?? 0);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
