import { randomBytes } from "node:crypto";
import type { RedisClientType } from "@redis/client";
import { bytes, milliseconds } from "../figures.ts";
import { type Finding, fault, median, timed, warning, well } from "./finding.ts";

const SAMPLES = 20;
const PATIENCE_MS = 3000;
/** A way there and back that everybody waits for, in milliseconds. */
const SLOW_MS = 10;
/** Leases and tokens are judged by clocks, in milliseconds. */
const CLOCKS_APART_MS = 1000;
/** Below this a subscriber is cut off in a burst, in bytes; Redis has 32 MB by default. */
const SMALL_BUFFER = 32 * 1024 * 1024;
const BUFFERS = "output buffers";
const PERMISSIONS = "+@read +@write +@pubsub +@scripting +@connection +info +time";

/** Tries what Roomcast does with a Redis, under a key that nobody uses. */
export async function examineRedis(url: string, prefix: string): Promise<Finding[]> {
  const { createClient } = await import("@redis/client");
  const client: RedisClientType = createClient({
    url,
    socket: { reconnectStrategy: false, connectTimeout: PATIENCE_MS },
  }) as RedisClientType;
  client.on("error", () => {});
  const shown = withoutPassword(url);
  try {
    await client.connect();
  } catch (error) {
    const why = error instanceof Error ? error.message || String(error) : String(error);
    return [
      fault(
        "Redis",
        `${shown}: ${why}`,
        "Is it running, and is REDIS_URL right (user, password, rediss:// for TLS)?",
      ),
    ];
  }
  try {
    const findings: Finding[] = [well("Redis", shown)];
    for (const [subject, examine] of EXAMINATIONS) {
      const found = examine(client, prefix).catch((error: unknown) => [denied(subject, error)]);
      findings.push(...(await found));
    }
    return findings;
  } finally {
    client.destroy();
  }
}

function withoutPassword(text: string): string {
  if (!URL.canParse(text)) return "REDIS_URL";
  const url = new URL(text);
  if (url.password !== "") url.password = "***";
  return url.href;
}

type Examination = (client: RedisClientType, prefix: string) => Promise<Finding[]>;

const latency: Examination = async (client) => {
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i++) times.push(await timed(() => client.ping()));
  const [middle, most] = [median(times), Math.max(...times)];
  const found = `${milliseconds(middle)} there and back, at most ${milliseconds(most)}`;
  return middle > SLOW_MS
    ? [
        warning(
          "latency",
          found,
          "Every message takes this way. Put Redis into the same zone as the servers.",
        ),
      ]
    : [well("latency", found)];
};

const clocks: Examination = async (client) => {
  const from = Date.now();
  const reply: unknown = await client.sendCommand(["TIME"]);
  const [seconds = 0, microseconds = 0] = Array.isArray(reply) ? reply.map(Number) : [];
  const there = seconds * 1000 + microseconds / 1000;
  const apart = Math.abs(there - (from + Date.now()) / 2);
  return apart > CLOCKS_APART_MS
    ? [
        warning(
          "clocks",
          `${milliseconds(apart)} apart`,
          "Let both machines follow NTP; tokens are judged by this clock.",
        ),
      ]
    : [well("clocks", `${milliseconds(apart)} apart`)];
};

const properties: Examination = async (client) => {
  const lines = (await client.info()).split("\r\n").map((line) => line.split(":", 2));
  const info = new Map(lines.map(([name = "", value = ""]) => [name, value]));
  const version = info.get("redis_version") ?? "unknown";
  const findings: Finding[] = [
    Number.parseInt(version, 10) < 7
      ? fault("version", version, "Redis 7.0 or newer (or Valkey 7.2) is needed.")
      : well("version", version),
  ];
  if (info.get("role") === "slave") {
    findings.push(
      fault("role", "a replica", "Writes go to the primary: name that, or use Sentinel."),
    );
  }
  const policy = info.get("maxmemory_policy") ?? "unknown";
  findings.push(
    policy === "noeviction"
      ? well("eviction", policy)
      : warning(
          "eviction",
          policy,
          "Presence and history may be thrown away: CONFIG SET maxmemory-policy noeviction",
        ),
  );
  const used = Number(info.get("used_memory"));
  const most = Number(info.get("maxmemory"));
  if (most > 0) {
    const found = `${bytes(used)} of ${bytes(most)} used`;
    findings.push(
      used / most > 0.8
        ? warning(
            "memory of Redis",
            found,
            "When it is full, durable messages are refused. Raise maxmemory.",
          )
        : well("memory of Redis", found),
    );
  }
  const saves =
    info.get("aof_enabled") === "1" ? "every write (AOF)" : "snapshots at most (no AOF)";
  findings.push(
    info.get("aof_enabled") === "1"
      ? well("persistence", saves)
      : warning(
          "persistence",
          saves,
          "A restart may lose the last durable messages, and clients are told of a gap: appendonly yes",
        ),
  );
  return findings;
};

const scripts: Examination = async (client, prefix) => {
  const key = `${prefix}doctor:${randomBytes(6).toString("hex")}`;
  const script =
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) return redis.call('GET', KEYS[1])";
  const answer: unknown = await client.sendCommand(["EVAL", script, "1", key, "ok"]);
  await client.sendCommand(["DEL", key]);
  return answer === "ok"
    ? [well("scripts", "run, and may write")]
    : [fault("scripts", `answered ${String(answer)}`, "Is this really Redis?")];
};

const pubSub: Examination = async (client, prefix) => {
  const channel = `${prefix}doctor:${randomBytes(6).toString("hex")}`;
  const subscriber = client.duplicate();
  subscriber.on("error", () => {});
  try {
    await subscriber.connect();
    const times: number[] = [];
    let heard = (): void => {};
    await subscriber.subscribe(channel, () => heard());
    for (let i = 0; i < SAMPLES; i++) {
      const arrived = new Promise<void>((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error("a message did not come back")),
          PATIENCE_MS,
        );
        heard = () => {
          clearTimeout(late);
          resolve();
        };
      });
      times.push(await timed(() => Promise.all([arrived, client.publish(channel, "x")])));
    }
    const found = `${milliseconds(median(times))} from publishing to hearing it`;
    return [well("pub/sub", found)];
  } finally {
    subscriber.destroy();
  }
};

const buffers: Examination = async (client) => {
  const reply = await client.configGet("client-output-buffer-limit");
  const limits = reply["client-output-buffer-limit"] ?? "";
  const [, hard = "", soft = "", seconds = ""] = /pubsub (\d+) (\d+) (\d+)/.exec(limits) ?? [];
  if (hard === "") return [];
  const found = `a subscriber is cut off over ${Number(hard) === 0 ? "no limit" : bytes(Number(hard))}, or over ${bytes(Number(soft))} for ${seconds} s`;
  return Number(hard) > 0 && Number(hard) < SMALL_BUFFER
    ? [
        warning(
          BUFFERS,
          found,
          'A burst cuts instances off: CONFIG SET client-output-buffer-limit "pubsub 256mb 64mb 60"',
        ),
      ]
    : [well(BUFFERS, found)];
};

const EXAMINATIONS: readonly (readonly [subject: string, examine: Examination])[] = [
  ["latency", latency],
  ["clocks", clocks],
  ["properties", properties],
  ["scripts", scripts],
  ["pub/sub", pubSub],
  [BUFFERS, buffers],
];

/** What managed services forbid need not be a fault: only what Roomcast itself does. */
function denied(subject: string, error: unknown): Finding {
  const why = error instanceof Error ? error.message : String(error);
  if (subject === BUFFERS) {
    return warning(BUFFERS, why, "CONFIG is not allowed here; look it up where you rent it.");
  }
  const advice = `The user needs these permissions, on keys and channels of the prefix: ${PERMISSIONS}`;
  return fault(subject, why, advice);
}
