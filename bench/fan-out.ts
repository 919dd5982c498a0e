import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Process } from "./process.ts";

const HELP = `Usage: npm run bench -- [options]

Deliveries per second and CPU per delivery in one room, Roomcast beside a loop over ws, in turns. Server
and load are processes of their own, pinned to a core each.

  --rounds <n>       How often each is measured; medians are compared. Default 3
  --seconds <n>      How long each measurement takes. Default 4
  --connections <n>  How many are in the room. Default 1000
  --help             Show this
`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    connections: { type: "string", default: "1000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}

interface Load {
  readonly name: string;
  readonly publishers: number;
  readonly outstanding: number;
}

interface Result {
  readonly deliveriesPerSecond: number;
  readonly cpuNanosecondsPerDelivery: number;
}

const LOADS: readonly Load[] = [
  { name: "busy: 100 publishers, 8 messages outstanding each", publishers: 100, outstanding: 8 },
  { name: "quiet: a single message outstanding", publishers: 1, outstanding: 1 },
];
const SUBJECTS = ["roomcast", "ws-loop"] as const;

async function measure(subject: string, load: Load): Promise<Result> {
  const server = new Process(`./servers/${subject}.ts`, 0);
  const { port } = await server.next<{ port: number }>();
  const client = new Process("./load.ts", 1);
  const { publishers, outstanding } = load;
  const connections = Number(values.connections);
  await client.ask({ port, connections, publishers, outstanding });
  await wait(1500);
  const look = async (): Promise<{ deliveries: number; now: number; cpu: number }> => {
    const { cpuMicroseconds } = await server.ask<{ cpuMicroseconds: number }>({});
    const { deliveries, now } = await client.ask<{ deliveries: number; now: number }>("count");
    return { deliveries, now, cpu: cpuMicroseconds };
  };
  const before = await look();
  await wait(Number(values.seconds) * 1000);
  const after = await look();
  await client.end();
  await server.end();
  const deliveries = after.deliveries - before.deliveries;
  return {
    deliveriesPerSecond: (deliveries / (after.now - before.now)) * 1000,
    cpuNanosecondsPerDelivery: ((after.cpu - before.cpu) / deliveries) * 1000,
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [
    sorted[sorted.length % 2 === 1 ? middle : middle - 1],
    sorted[middle],
  ];
  return (low + high) / 2;
}

for (const load of LOADS) {
  console.log(`\n${load.name} (${values.connections} connections)`);
  const results = new Map<string, Result[]>(SUBJECTS.map((subject) => [subject, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const subject of SUBJECTS) {
      const result = await measure(subject, load);
      results.get(subject)?.push(result);
      console.log(
        `  ${subject.padEnd(9)} ${Math.round(result.deliveriesPerSecond).toLocaleString("en").padStart(12)}` +
          ` deliveries/s ${Math.round(result.cpuNanosecondsPerDelivery).toLocaleString("en").padStart(8)} ns CPU each`,
      );
    }
  }
  const of = (subject: string, figure: keyof Result): number =>
    median((results.get(subject) ?? []).map((result) => result[figure]));
  const faster = of("roomcast", "deliveriesPerSecond") / of("ws-loop", "deliveriesPerSecond");
  const cheaper =
    of("roomcast", "cpuNanosecondsPerDelivery") / of("ws-loop", "cpuNanosecondsPerDelivery");
  console.log(
    `  medians: ${faster.toFixed(2)} times the deliveries, ${cheaper.toFixed(3)} of the CPU per delivery`,
  );
}
