// What presence costs Redis with many instances, each with connections of its own, all in this process. CPU is that of
// Redis: of the scripts alone (INFO commandstats), and with everything around them (INFO cpu).
//
//   npm run bench:backplane -- [instances]
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import type { Attachment, Instance } from "../src/backplane/contract/backplane.ts";
import type { Transition } from "../src/backplane/contract/presence-store.ts";
import { redisBackplane } from "../src/backplane/redis/redis-backplane.ts";
import { EncodedMessage } from "../src/protocol/encoded-message.ts";
import { startRedisServer } from "../test/support/redis-server.ts";

const INSTANCES = Number(process.argv[2] ?? 100);
const LEASE_MS = 5000;
const ENTRY = { connectedAt: 1, metadata: {} };

const server = await startRedisServer();
const redis = createClient({ url: server.url });
await redis.connect();

interface Cost {
  readonly ms: number;
  /** Microseconds of Redis: in scripts, and in all. */
  readonly scripts: number;
  readonly all: number;
}

async function used(): Promise<{ scripts: number; all: number }> {
  const stats = await redis.info("commandstats");
  const scripts = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=\d+,usec=(\d+)/g)];
  const cpu = await redis.info("cpu");
  const seconds = [...cpu.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)];
  return {
    scripts: scripts.reduce((sum, [, usec]) => sum + Number(usec), 0),
    all: seconds.reduce((sum, [, each]) => sum + Number(each) * 1e6, 0),
  };
}

async function measure(work: () => Promise<unknown>): Promise<Cost> {
  const before = await used();
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  const after = await used();
  return { ms, scripts: after.scripts - before.scripts, all: after.all - before.all };
}

function report(what: string, times: number, { ms, scripts, all }: Cost): void {
  const each = (micros: number): string => `${(micros / times).toFixed(1)} µs`;
  console.log(
    `${what.padEnd(58)} ${each(scripts).padStart(10)} in scripts, ${each(all).padStart(10)} in all, ${ms.toFixed(0)} ms`,
  );
}

const raised: Transition[] = [];

async function join(id: string): Promise<Attachment> {
  const instance: Instance = {
    id,
    receive: () => 0,
    statusChanged: () => {},
    roomsAsUser: () => [],
    raise: (transition) => void raised.push(transition),
    report: (error) => console.error(id, String(error)),
  };
  const attachment = redisBackplane({ url: server.url, leaseMs: LEASE_MS }).attach(instance);
  await attachment.start();
  return attachment;
}

function names(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix} ${i}`);
}

console.log(`${INSTANCES} instances on one Redis`);
const instances: Attachment[] = [];
for (let i = 0; i < INSTANCES; i++) instances.push(await join(`instance-${i}`));
const [first, second] = instances;
if (first === undefined || second === undefined) throw new Error("At least two instances.");

// Every instance holds somebody in the room, and somebody online.
for (const [i, { presence }] of instances.entries()) {
  await presence.online(`holder ${i}`, ENTRY);
  await presence.enter("room", `holder ${i}`);
}

const users = names(2000, "user");
const all = (work: (user: string) => Promise<unknown>): Promise<unknown> =>
  Promise.all(users.map(work));
await all((user) => first.presence.online(user, ENTRY));
await all((user) => first.presence.enter("room", user));
report(
  "isOnline, one after another",
  users.length,
  await measure(async () => {
    for (const user of users) await first.presence.isOnline(user);
  }),
);
report(
  "onlineCount, one after another",
  users.length,
  await measure(async () => {
    for (const _ of users) await first.presence.onlineCount();
  }),
);
report(
  "leave a room, one after another",
  users.length,
  await measure(async () => {
    for (const user of users) await first.presence.exit("room", user);
  }),
);
report(
  "disconnect, one after another",
  users.length,
  await measure(async () => {
    for (const user of users) await first.presence.offline(user);
  }),
);
const cycle = async (user: string): Promise<void> => {
  await first.presence.online(user, ENTRY);
  await Promise.all(["room", "a", "b"].map((room) => first.presence.enter(room, user)));
  await Promise.all(["room", "a", "b"].map((room) => first.presence.exit(room, user)));
  await first.presence.offline(user);
};
report(
  "connect, three rooms, disconnect, 2,000 at a time",
  users.length,
  await measure(() => all(cycle)),
);

const many = names(20_000, "many");
for (const { presence } of [first, second]) {
  await Promise.all(many.map((user) => presence.enter("crowd", user)));
}
raised.length = 0;
let told = 0;
const exits = await measure(async () => {
  const left = await Promise.all(many.map((user) => first.presence.exit("crowd", user)));
  told = left.filter(Boolean).length;
  while ((await second.presence.roomUserCount("crowd")) !== many.length) await wait(20);
});
const wrong = told + raised.filter(({ type }) => type === "leave").length;
report(`20,000 leave in one turn, all held elsewhere: ${wrong} told gone`, many.length, exits);

const message = {
  type: "message",
  message: EncodedMessage.from("x".repeat(100)),
  except: null,
} as const;
for (const { broker } of [first, second]) await broker.subscribe("room:talk");
const MESSAGES = 20_000;
for (const together of [1, 100]) {
  const cost = await measure(async () => {
    for (let i = 0; i < MESSAGES; i += together) {
      const turn = Array.from({ length: together }, () =>
        first.broker.publish("room:talk", message),
      );
      await Promise.all(turn);
    }
  });
  report(`messages to a room on two instances, ${together} in a turn`, MESSAGES, cost);
}

async function memory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1]);
}

const crowd = names(10_000, "crowd");
const empty = await memory();
for (let i = 0; i < crowd.length; i += 1000) {
  const some = crowd.slice(i, i + 1000);
  await Promise.all(some.map((user) => second.presence.online(user, ENTRY)));
  await Promise.all(some.map((user) => second.presence.enter("stadium", user)));
}
const perUser = ((await memory()) - empty) / crowd.length;
console.log(
  `memory of Redis for each user who is online and in a room: ${perUser.toFixed(0)} bytes`,
);
for (const { presence } of [first, second]) {
  await Promise.all(many.map((user) => presence.exit("crowd", user)));
}
raised.length = 0;
const idle = await measure(() => wait(LEASE_MS * 2));
await second.stop();
const died = performance.now();
let clearedAfter = 0;
const death = await measure(async () => {
  while ((await redis.zCard("ws:instances")) === INSTANCES) await wait(20);
  clearedAfter = performance.now() - died;
  await wait(LEASE_MS * 2 - clearedAfter);
});
const gone = raised.filter(({ type }) => type === "leave" || type === "offline").length;
const seconds = (death.all - idle.all) / 1e6;
console.log(
  `one of them dies, 10,000 users in one room: ${seconds.toFixed(2)} s of Redis, ${gone} told gone, all cleared ` +
    `${(clearedAfter / 1000).toFixed(1)} s after it died (its lease is ${LEASE_MS / 1000} s)`,
);

for (const { stop } of instances.filter((each) => each !== second).map(stopping)) await stop();
redis.destroy();
await server.dispose();
process.exit(0);

function stopping(attachment: Attachment): { stop(): Promise<void> } {
  return { stop: () => attachment.stop() };
}
