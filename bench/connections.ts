import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Process } from "./process.ts";
import type { Usage } from "./servers/report.ts";

const HELP = `Usage: npm run bench:connections -- [options]

What connections cost that are only there: resident bytes of each, CPU of accepting one, and CPU of holding
all of them with heartbeats. A server of Roomcast (authenticated, a user each, two rooms) beside one of bare ws
(nothing of that) and, for the heartbeats, one with the loop of pings that the README of ws shows, in turns. Server and clients are processes of their own, pinned to a core each.

  --rounds <n>       How often each is measured; medians are compared. Default 3
  --seconds <n>      How long they are held. Default 40
  --connections <n>  Default 9000
  --help             Show this
`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "40" },
    connections: { type: "string", default: "9000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}

interface Result {
  readonly residentBytes: number;
  readonly acceptMicroseconds: number;
  /** Of one core. */
  readonly heldPercent: number;
}

const SUBJECTS = ["idle-roomcast", "idle-ws", "beating-ws"] as const;
const connections = Number(values.connections);
/** Compiles what accepting needs and lets the heap grow, so that neither is counted. */
const WARM_UP = 3000;
/** So long V8 goes on to compact its heap after so much was made in it, once. */
const SETTLING_MS = 25_000;

async function measure(subject: string): Promise<Result> {
  const server = new Process(`./servers/${subject}.ts`, 0, ["--expose-gc"]);
  const { port } = await server.next<{ port: number }>();
  const client = new Process("./idle-load.ts", 1);
  await client.ask({ port, connections: WARM_UP });
  const before = await server.ask<Usage>("collect");
  await client.ask({ port, connections: WARM_UP + connections });
  const accepted = await server.ask<Usage>({});
  await wait(1000);
  const settled = await server.ask<Usage>("collect");
  await wait(SETTLING_MS);
  const holding = await server.ask<Usage>({});
  const heldFrom = performance.now();
  await wait(Number(values.seconds) * 1000);
  const held = await server.ask<Usage>({});
  const heldMs = performance.now() - heldFrom;
  await client.end();
  await server.end();
  return {
    residentBytes: (settled.residentBytes - before.residentBytes) / connections,
    acceptMicroseconds: (accepted.cpuMicroseconds - before.cpuMicroseconds) / connections,
    // Those of the warm-up are held too.
    heldPercent:
      ((held.cpuMicroseconds - holding.cpuMicroseconds) / 10 / heldMs) *
      (connections / (connections + WARM_UP)),
  };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

const results = new Map<string, Result[]>(SUBJECTS.map((subject) => [subject, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const subject of SUBJECTS) {
    const result = await measure(subject);
    results.get(subject)?.push(result);
    const { residentBytes, acceptMicroseconds, heldPercent } = result;
    console.log(
      `  ${subject.padEnd(13)} ${Math.round(residentBytes).toLocaleString("en").padStart(7)} bytes each, ` +
        `${acceptMicroseconds.toFixed(0).padStart(4)} µs CPU to accept, ${heldPercent.toFixed(2)} % of a core to hold all`,
    );
  }
}
const of = (subject: string, figure: keyof Result): number =>
  median((results.get(subject) ?? []).map((result) => result[figure]));
const ratio = (figure: keyof Result): string =>
  (of("idle-roomcast", figure) / of("idle-ws", figure)).toFixed(2);
console.log(
  `${connections} connections, medians: ${ratio("residentBytes")} times the resident bytes of bare ws, ` +
    `${ratio("acceptMicroseconds")} times its CPU to accept one, ` +
    `${of("idle-roomcast", "heldPercent").toFixed(2)} % of a core to hold all with heartbeats ` +
    `(bare ws: ${of("beating-ws", "heldPercent").toFixed(2)} %)`,
);
