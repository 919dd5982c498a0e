import { loadConfig, redisUrls } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { duration } from "../protocol/setting.ts";
import type { Finding, Grade } from "./doctor/finding.ts";
import { examineMachine } from "./doctor/machine.ts";
import { examineRedis } from "./doctor/redis.ts";
import { examineServer } from "./doctor/server.ts";
import { parseFlagsAndWords, readFlagOrSetting, readText } from "./flags.ts";
import { printable } from "./printable.ts";

export const DOCTOR_HELP: string = `Usage: roomcast doctor [url] [options]

Looks for what will go wrong: on this machine (open files, backlog, memory), on Redis if REDIS_URL is set (version, permissions,
eviction, persistence, latency, clocks, pub/sub), and at a server if its address is given (upgrade, round trip, idle connections,
through whatever is between). Each finding says what to change. Nothing is changed.

Options:
  --redis <url>    Default: REDIS_URL
  --token <token>  For the server, sent as Authorization: Bearer. Default: ROOMCAST_TOKEN
  --idle <s>       Holds a quiet connection for so long, to see whether a proxy ends it. Default 0
  --json           The findings as JSON
  --help           Show this

Ends with 1 if something does not work.

Examples:
  REDIS_URL=redis://cache:6379 roomcast doctor
  roomcast doctor "wss://chat.example.org/ws" --token "$TOKEN" --idle 90
`;

const OPTIONS = {
  redis: { type: "string" },
  token: { type: "string" },
  idle: { type: "string" },
  json: { type: "boolean" },
} as const;

const IDLE = duration("", 0, { minMs: 0, maxMs: 86_400_000 });
const MARKS: Record<Grade, [sign: string, colour: string]> = {
  well: ["✓", "\u001b[32m"],
  warning: ["!", "\u001b[33m"],
  fault: ["✗", "\u001b[31m"],
};
const PLAIN = "\u001b[0m";

/** Resolves when everything was looked at. @throws ConfigurationError naming what is wrong with what it was told. */
export async function doctor(args: readonly string[]): Promise<void> {
  const { flags, words } = parseFlagsAndWords("doctor", args, OPTIONS);
  const address = readServer(words);
  const token = readText(flags, process.env, "token", "ROOMCAST_TOKEN")?.value;
  const idleMs = readFlagOrSetting(flags, {}, "idle", IDLE);
  const { channelPrefix, redisUrl } = loadConfig();
  const redis = readText(flags, {}, "redis", "")?.value ?? redisUrl;
  const findings: Finding[] = [];
  const add = (more: readonly Finding[]): void => {
    findings.push(...more);
    if (flags.json !== true) for (const finding of more) print(finding);
  };
  add(examineMachine());
  for (const url of redis === null ? [] : redisUrls(redis)) {
    add(await examineRedis(url, channelPrefix));
  }
  if (address !== null) add(await examineServer(address, token, idleMs));
  if (flags.json === true) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  if (findings.some(({ grade }) => grade === "fault")) process.exitCode = 1;
}

function print({ subject, grade, found, advice }: Finding): void {
  const { stdout } = process;
  const [sign, colour] = MARKS[grade];
  const mark = stdout.isTTY && process.env.NO_COLOR === undefined ? colour + sign + PLAIN : sign;
  stdout.write(`${mark} ${printable(`${subject}: ${found}`)}\n`);
  if (advice !== null) stdout.write(`    ${printable(advice)}\n`);
}

function readServer([text, ...rest]: readonly string[]): string | null {
  if (text === undefined) return null;
  if (rest.length === 0 && /^(http|ws)s?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new ConfigurationError(
    "roomcast doctor takes the address of one server, such as ws://localhost:8000/ws.",
  );
}
