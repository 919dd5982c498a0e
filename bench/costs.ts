import { setTimeout as wait } from "node:timers/promises";
import type { Connect } from "./costs-load.ts";
import { Process } from "./process.ts";
import type { Publish } from "./servers/costs.ts";

const HELP = `Usage: npm run bench:costs

CPU of a message to four members (plain; durable, two of them with roomcast.v1), beside a loop of ws.send, many in
a turn so that system calls count little; and of 400 clients that resume 1,000 messages of one room. Server and
clients are processes of their own, pinned to a core each.
`;
if (process.argv.includes("--help")) {
  process.stdout.write(HELP);
  process.exit();
}

interface Ports {
  readonly port: number;
  readonly barePort: number;
}

interface Cost {
  readonly microseconds: number;
}

async function start(): Promise<{ server: Process; load: Process; ports: Ports }> {
  const server = new Process("./servers/costs.ts", 0);
  const ports = await server.next<Ports>();
  return { server, load: new Process("./costs-load.ts", 1), ports };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

/** µs of a message to four members, the median of some runs; the first ones compile. */
async function publishing(publish: Publish, connect: Omit<Connect, "port">): Promise<number> {
  const { server, load, ports } = await start();
  const port = publish.room === "ws" ? ports.barePort : ports.port;
  await load.ask({ ...connect, port });
  const costs: number[] = [];
  for (let i = 0; i < 9; i++) costs.push((await server.ask<Cost>(publish)).microseconds);
  await load.end();
  await server.end();
  return median(costs.slice(3));
}

async function resuming(clients: number): Promise<number> {
  const { server, load, ports } = await start();
  await server.ask("fill");
  await load.ask({ port: ports.port, plain: 0, enveloped: clients });
  // Before anybody is taken for one that has nothing to resume.
  const before = await server.ask<Cost>("cpu");
  await load.ask("resume");
  const after = await server.ask<Cost>("cpu");
  await wait(50);
  await load.end();
  await server.end();
  return (after.microseconds - before.microseconds) / 1000;
}

const four = { plain: 4, enveloped: 0 };
const mixed = { plain: 2, enveloped: 2 };
for (let round = 0; round < 3; round++) {
  const ws = await publishing({ room: "ws", count: 20_000, perTurn: 500 }, four);
  const plain = await publishing({ room: "plain", count: 50_000, perTurn: 500 }, four);
  const durable = await publishing({ room: "log", count: 20_000, perTurn: 200 }, mixed);
  const resume = await resuming(400);
  console.log(
    `a message to four: ${plain.toFixed(2)} µs plain, ${durable.toFixed(2)} µs durable, ` +
      `${ws.toFixed(2)} µs by a loop of ws.send (${(plain / ws).toFixed(3)} and ${(durable / ws).toFixed(3)} of it); ` +
      `400 resumes of 1,000: ${resume.toFixed(0)} ms`,
  );
}
