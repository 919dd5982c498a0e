import { ConfigurationError } from "../protocol/errors.ts";
import { duration, type Setting, wholeNumber } from "../protocol/setting.ts";
import { BenchRun, type Load } from "./bench-load.ts";
import { progressLine, reportLines, toJson } from "./bench-report.ts";
import { readAddress } from "./client-options.ts";
import { type Flags, parseFlagsAndWords, readFlagOrSetting, readText } from "./flags.ts";

export const BENCH_HELP: string = `Usage: roomcast bench <url> [options]

Puts load on a server that speaks the messages of roomcast serve: connections join rooms, and each message is to reach every
member of its room. Messages are sent when they are due, whether or not the server keeps up, and latency counts from then.

Options:
  --connections <n>   Default 100
  --rooms <n>         Connections are spread over them. Default 10
  --rate <n>          Messages a second, by all connections together. Default 100
  --size <bytes>      Of each message, without its envelope. Default 100
  --duration <s>      For how long messages are sent. Default 10
  --ramp <s>          In how long the connections are opened. Default 2
  --token <token>     Sent as Authorization: Bearer. Default: ROOMCAST_TOKEN; without one, names are made up
  --json              The result as JSON
  --help              Show this

Ends with 1 if a delivery is missing or a connection failed. A server may limit how fast one client sends (serve: 50 messages a second)
and how many connections an address may have.

Examples:
  roomcast bench ws://localhost:8000/ws
  roomcast bench ws://localhost:8000/ws --connections 5000 --rooms 500 --rate 1000 --duration 60
  roomcast bench wss://chat.example.org/ws --token "$TOKEN" --json
`;

const OPTIONS = {
  connections: { type: "string" },
  rooms: { type: "string" },
  rate: { type: "string" },
  size: { type: "string" },
  duration: { type: "string" },
  ramp: { type: "string" },
  token: { type: "string" },
  json: { type: "boolean" },
} as const;

const CONNECTIONS = wholeNumber("", 100, 1, 60_000);
const ROOMS = wholeNumber("", 10, 1, 60_000);
const RATE = wholeNumber("", 100, 1, 1_000_000);
const SIZE = wholeNumber("", 100, 0, 1_000_000);
const DURATION = duration("", 10_000, { minMs: 100, maxMs: 86_400_000 });
const RAMP = duration("", 2000, { minMs: 0, maxMs: 3_600_000 });

const PROGRESS_MS = 500;

/** Resolves when the load has been put on. @throws ConfigurationError naming what is wrong. */
export async function bench(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("bench", args, OPTIONS);
  const [url, ...rest] = words;
  const address = readAddress("bench", url);
  if (rest.length > 0) throw new ConfigurationError("roomcast bench takes one address.");
  const load = readLoad(address, flags);
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const run = new BenchRun(load, stopped.signal);
  const from = performance.now();
  const { stderr } = process;
  const show = (): void => {
    stderr.write(`\r\u001b[K${progressLine(run, performance.now() - from)}`);
  };
  const timer = stderr.isTTY ? setInterval(show, PROGRESS_MS) : undefined;
  try {
    await run.run();
  } finally {
    clearInterval(timer);
    if (stderr.isTTY) stderr.write("\r\u001b[K");
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
  const lines = flags.json ? [JSON.stringify(toJson(load, run), null, 2)] : reportLines(load, run);
  process.stdout.write(`${lines.join("\n")}\n`);
  const failed = run.delivered < run.expected || run.faults.size > 0 || run.connected === 0;
  process.exitCode = failed && !stopped.signal.aborted ? 1 : 0;
}

function readLoad(url: string, flags: Flags): Load {
  const read = (flag: string, setting: Setting<number>): number =>
    readFlagOrSetting(flags, {}, flag, setting);
  return {
    url,
    token: readText(flags, process.env, "token", "ROOMCAST_TOKEN")?.value,
    connections: read("connections", CONNECTIONS),
    rooms: read("rooms", ROOMS),
    rate: read("rate", RATE),
    size: read("size", SIZE),
    durationMs: read("duration", DURATION),
    rampMs: read("ramp", RAMP),
  };
}
