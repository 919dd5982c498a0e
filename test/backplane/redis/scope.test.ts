import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Attachment } from "../../../src/backplane/contract/backplane.ts";
import type { Client } from "../../../src/backplane/redis/net/connection.ts";
import { redisBackplane } from "../../../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { useDisposals } from "../../support/disposals.ts";
import { Recorder } from "../../support/recorder.ts";
import { startRedisServer } from "../../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

const onDispose = useDisposals();
const LEASE_MS = 3000;
const ROUNDS = 5;

type Member = Attachment & { readonly recorder: Recorder; readonly way: TcpProxy };

async function start(): Promise<{ a: Member; b: Member; redis: Client }> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const redis = createClient({ url: server.url }) as Client;
  redis.on("error", () => {});
  await redis.connect();
  onDispose(() => redis.destroy());
  const join = async (id: string): Promise<Member> => {
    const way = await startTcpProxy(server.port);
    onDispose(way.dispose);
    const recorder = new Recorder(id);
    const url = `redis://127.0.0.1:${way.port}`;
    const attachment = redisBackplane({ url, leaseMs: LEASE_MS }).attach(recorder);
    onDispose(() => attachment.stop());
    await attachment.start();
    await attachment.broker.subscribe("room:x");
    return Object.assign(attachment, { recorder, way });
  };
  return { a: await join("a"), b: await join("b"), redis };
}

function message(text: string) {
  return { type: "message", message: EncodedMessage.from(text), except: null } as const;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(5);
}

const DISTURBANCES: Record<string, (b: Member, redis: Client) => Promise<void>> = {
  "is cut off": async ({ way }) => {
    way.cut();
    await wait(300);
    way.restore();
  },
  "loses its subscriptions": async (_b, redis) => {
    const list = String(await redis.sendCommand(["CLIENT", "LIST", "TYPE", "pubsub"]));
    const own = list.split("\n").find((line) => line.includes(" name=roomcast:b "));
    await redis.sendCommand(["CLIENT", "KILL", "ID", /^id=(\d+)/.exec(own ?? "")?.[1] ?? ""]);
  },
};

test.each(Object.entries(DISTURBANCES))(
  "while another instance %s, what it does not get is not said to have reached the cluster",
  async (_name, disturb) => {
    const { a, b, redis } = await start();
    const said: { text: string; scope: string }[] = [];
    const publishing: Promise<void>[] = [];
    let sent = 0;
    const publish = (): void => {
      const text = `${++sent}`;
      const told = a.broker.publish("room:x", message(text));
      publishing.push(told.then(({ scope }) => void said.push({ text, scope })));
    };
    for (let round = 0; round < ROUNDS; round++) {
      let done = false;
      const disturbing = disturb(b, redis).then(() => {
        done = true;
      });
      for (let i = 0; i < 120 || !done; i++) {
        publish();
        await wait(5);
      }
      await disturbing;
      await until(
        async () => (await a.broker.publish("room:x", message("again"))).scope === "cluster",
      );
    }
    await Promise.all(publishing);
    await b.recorder.until(() => b.recorder.texts.includes("again"));
    await wait(100);
    const got = new Set(b.recorder.texts);
    const lost = said.filter(({ text }) => !got.has(text));
    expect(said.filter(({ scope }) => scope === "cluster").length).toBeGreaterThan(10);
    expect(lost.length).toBeGreaterThan(10);
    // What Redis had sent in the moment the connection was lost may be lost with it.
    const wrong = lost.filter(({ scope }) => scope === "cluster");
    expect(wrong.length).toBeLessThanOrEqual(ROUNDS);
  },
);

test("asking who hears what is published is no way of its own to Redis: it goes in the same write", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const writes: string[] = [];
  const way = await startTcpProxy(server.port, {
    toServer: (bytes) => {
      writes.push(bytes.toString("latin1"));
      return bytes;
    },
  });
  onDispose(way.dispose);
  const url = `redis://127.0.0.1:${way.port}`;
  const attachment = redisBackplane({ url }).attach(new Recorder("a"));
  onDispose(() => attachment.stop());
  await attachment.start();
  const { broker } = attachment;
  for (const text of ["one", "two", "three"]) {
    expect((await broker.publish("room:x", message(text))).scope).toBe("cluster");
  }
  const publishing = writes.filter((write) => write.includes("ws:room:x"));
  expect(publishing).toHaveLength(3);
  for (const write of publishing) expect(write).toContain("NUMSUB");
  expect(writes.filter((write) => write.includes("NUMSUB"))).toHaveLength(3);
});

test("nobody is missed who has left in good order, or whose time is over", async () => {
  const { a, b } = await start();
  const scope = async (): Promise<string> =>
    (await a.broker.publish("room:x", message("hi"))).scope;
  expect(await scope()).toBe("cluster");
  await b.presence.online("alice", { connectedAt: 1, metadata: {} });
  const leaving = b.presence.withdraw([{ user: "alice", leftMs: 2000 }]).then(() => b.stop());
  const scopes = new Set<string>();
  const left = performance.now();
  while (performance.now() - left < 500) {
    scopes.add(await scope());
    await wait(5);
  }
  await leaving;
  expect([...scopes]).toEqual(["cluster"]);
});

test("nobody is missed whose time is over", async () => {
  const { a, b } = await start();
  b.way.cut();
  await until(() => b.recorder.statuses.at(-1) === "degraded");
  const publish = () => a.broker.publish("room:x", message("hi"));
  expect((await publish()).scope).toBe("unknown");
  await until(async () => (await a.presence.instances()).length === 1);
  expect((await publish()).scope).toBe("cluster");
});
