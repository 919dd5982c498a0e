// Two instances on one Redis, 100 rooms of 10 spread over both, everybody publishes: deliveries a second, and what a
// delivery costs both servers, Roomcast beside Socket.IO with its Redis adapter, in turns.
//
//   npm run bench:rooms -- [rounds] [seconds] [outstanding]
import { setTimeout as wait } from "node:timers/promises";
import { startRedisServer } from "../test/support/redis-server.ts";
import { Process } from "./process.ts";
import type { Usage } from "./servers/report.ts";

const [rounds = 3, seconds = 4, outstanding = 1] = process.argv.slice(2).map(Number);
const [ROOMS, PER_ROOM, INSTANCES] = [100, 10, 2];
const SUBJECTS = { roomcast: "rooms", "socket.io": "rooms-socket-io" } as const;

interface Result {
  readonly deliveriesPerSecond: number;
  readonly cpuNanosecondsPerDelivery: number;
}

async function measure(subject: keyof typeof SUBJECTS): Promise<Result> {
  const redis = await startRedisServer();
  process.env.BENCH_REDIS = redis.url;
  const servers = Array.from({ length: INSTANCES }, () => {
    return new Process(`./servers/${SUBJECTS[subject]}.ts`, 0);
  });
  const ready = await Promise.all(servers.map((server) => server.next<{ port: number }>()));
  const ports = ready.map(({ port }) => port);
  const load = new Process("./rooms-load.ts", 1);
  await load.ask({ subject, ports, rooms: ROOMS, perRoom: PER_ROOM, outstanding });
  await wait(1500);
  const look = async (): Promise<{ deliveries: number; now: number; cpu: number }> => {
    const usages = await Promise.all(servers.map((server) => server.ask<Usage>({})));
    const count = await load.ask<{ deliveries: number; now: number }>("count");
    return { ...count, cpu: usages.reduce((sum, { cpuMicroseconds }) => sum + cpuMicroseconds, 0) };
  };
  const before = await look();
  await wait(seconds * 1000);
  const after = await look();
  for (const each of [load, ...servers]) await each.end();
  await redis.dispose();
  const deliveries = after.deliveries - before.deliveries;
  return {
    deliveriesPerSecond: deliveries / ((after.now - before.now) / 1000),
    cpuNanosecondsPerDelivery: ((after.cpu - before.cpu) * 1000) / deliveries,
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const results: Record<keyof typeof SUBJECTS, Result[]> = { roomcast: [], "socket.io": [] };
for (let round = 0; round < rounds; round++) {
  results.roomcast.push(await measure("roomcast"));
  results["socket.io"].push(await measure("socket.io"));
}
const rates = { roomcast: 0, "socket.io": 0 };
const costs = { roomcast: 0, "socket.io": 0 };
for (const subject of ["roomcast", "socket.io"] as const) {
  rates[subject] = median(results[subject].map((result) => result.deliveriesPerSecond));
  costs[subject] = median(results[subject].map((result) => result.cpuNanosecondsPerDelivery));
  const rate = `${Math.round(rates[subject]).toLocaleString("en")} deliveries/s`;
  console.log(
    `${subject.padEnd(10)} ${rate.padStart(24)}, ${costs[subject].toFixed(0)} ns of CPU for each`,
  );
}
console.log(
  `ratio      ${(rates.roomcast / rates["socket.io"]).toFixed(1)} × the deliveries, ` +
    `${(costs["socket.io"] / costs.roomcast).toFixed(1)} × less CPU for each`,
);
