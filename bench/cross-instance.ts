// How much later a message reaches another instance than the publisher's own: two instances in processes of
// their own on one Redis, and a client of each in this process, so that one clock measures both. Idle but
// for one message at a time.
//
//   npm run bench:cross-instance -- [messages]
import { setTimeout as wait } from "node:timers/promises";
import { startInstance } from "../test/support/cluster.ts";
import { startRedisServer } from "../test/support/redis-server.ts";

const messages = Number(process.argv[2] ?? 2000);
const WARM_UP = 200;
const PAUSE_MS = 2;

const redis = await startRedisServer();
const instances = await Promise.all(
  ["own", "other"].map((id) => startInstance(redis.url, id, 15_000)),
);
const clients = await Promise.all(instances.map((instance) => instance.connect(instance.id)));
const [publisher] = clients;
if (publisher === undefined) throw new Error("There is no instance.");
for (const client of clients) {
  client.send("join room");
  await client.next();
}

const own: number[] = [];
const other: number[] = [];
const later: number[] = [];
for (let i = -WARM_UP; i < messages; i++) {
  const sent = performance.now();
  const arrivals = clients.map((client) => arrival(client.socket));
  publisher.send("say room");
  const [here = 0, there = 0] = (await Promise.all(arrivals)).map((at) => at - sent);
  if (i >= 0) {
    own.push(here);
    other.push(there);
    later.push(there - here);
  }
  await wait(PAUSE_MS);
}

console.log(`${messages} messages, in milliseconds after the client sent them:`);
console.log("                     min     p50     p90     p99     max");
print("own instance", own);
print("other instance", other);
print("other minus own", later);

for (const client of clients) client.socket.terminate();
for (const instance of instances) await instance.kill();
await redis.dispose();

/** When the next broadcast comes. */
function arrival(socket: (typeof clients)[number]["socket"]): Promise<number> {
  return new Promise((resolve) => {
    const take = (data: Buffer): void => {
      if (data.toString() !== "said") return;
      socket.off("message", take);
      resolve(performance.now());
    };
    socket.on("message", take);
  });
}

function print(name: string, values: number[]): void {
  values.sort((a, b) => a - b);
  const at = (share: number): string =>
    (values[Math.round(share * (values.length - 1))] ?? Number.NaN).toFixed(2).padStart(8);
  console.log(name.padEnd(16) + [0, 0.5, 0.9, 0.99, 1].map(at).join(""));
}
