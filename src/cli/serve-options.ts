import { trustedHops } from "../limits/client-address.ts";
import { loadConfig, type WebSocketConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { quote } from "../protocol/names.ts";
import { optional, wholeNumber } from "../protocol/setting.ts";
import { isLoopbackHost } from "../upgrade/request/loopback.ts";
import { faultOfOrigin } from "../upgrade/request/origin.ts";
import { type Flags, parseFlags, readFlagOrSetting, readText } from "./flags.ts";
import { type JwtSettings, readJwtSettings } from "./jwt-settings.ts";

export const SERVE_HELP = `Usage: roomcast serve [options]

Runs a WebSocket server at /ws with a chat page at / and an HTTP API at /api. Without further services it
keeps everything in memory; with REDIS_URL several servers are one. Without JWT_SECRET or JWKS_URL it is for trying out: clients choose their own
names (/ws?user=alice).

Options (and the environment variables of the same meaning, which keep secrets out of process lists):
  --port <number>         PORT              The port to listen on; 0 takes a free one. Default 8000
  --host <address>        HOST              The address to listen on. Default 127.0.0.1
  --jwt-secret <text>     JWT_SECRET        /ws needs a token signed with this secret (HS256)
  --jwks-url <url>        JWKS_URL          /ws needs a token signed with a key published there
  --jwt-issuer <text>     JWT_ISSUER        Who must have issued the token (iss)
  --jwt-audience <text>   JWT_AUDIENCE      Whom the token must be meant for (aud)
  --origins <list>        ROOMCAST_ORIGINS  The pages that may connect, such as https://app.example.org,
                                            with commas between; * for any. Default: those of the host itself
  --api-key <text>        ROOMCAST_API_KEY  Opens /api, /metrics and /ws/stats to those who have
                                            it. Default: in development mode they are open to this machine
                                            alone, else closed
  --rate-limit <number>   ROOMCAST_RATE_LIMIT
                                            Messages a second from one client, twice as many at once; none:
                                            no limit. Default 50
  --trust-proxy <list>    ROOMCAST_TRUST_PROXY
                                            Addresses and subnets of proxies whose X-Forwarded-For holds
  --history-rooms <name>  WS_HISTORY_ROOMS  The rooms whose messages are kept, by a pattern in which * stands for
                                            any characters. Default *
  --history-room-bytes <number>    ROOMCAST_HISTORY_ROOM_BYTES
                                            What the history of one room may take. Default 4194304 (4 MiB)
  --history-rooms-per-user <number>   ROOMCAST_HISTORY_ROOMS_PER_USER
                                            Rooms with history one user may begin. Default 50
  --history-max-rooms <number>     ROOMCAST_HISTORY_MAX_ROOMS
                                            Rooms with history clients may begin in all. Default 10000
  --log-level <level>     ROOMCAST_LOG_LEVEL
                                            What is logged on stderr: debug (the life of every connection),
                                            info, warn, error or silent. Default info
  --max-memory <MB>       ROOMCAST_MAX_MEMORY
                                            With more resident memory than this /health/ready answers 503, so
                                            that no more clients are sent here. Default: no limit
  --workers <number>                        Processes on one port; more than one need REDIS_URL. Default 1
  --insecure                                Allow an address that others can reach although nobody is
                                            authenticated
  --help                                    Show this

Connections are set up by WS_OPEN_TIMEOUT, WS_CLOSE_TIMEOUT, WS_PING_INTERVAL, WS_PING_TIMEOUT (seconds),
WS_MAX_MESSAGE_SIZE (bytes), WS_MAX_QUEUE_SIZE, WS_HISTORY_MAX_LENGTH (messages) and
WS_MAX_CONNECTIONS_PER_USER. Try a token with: roomcast token --user alice
`;

export interface ServeOptions {
  readonly port: number;
  /** null: no limit. */
  readonly maxMemoryBytes: number | null;
  readonly host: string;
  readonly config: WebSocketConfig;
  /** null: development mode, nobody is authenticated. */
  readonly jwt: JwtSettings | null;
  /** The origins browsers may connect from; undefined: the host itself. */
  readonly origins: readonly string[] | undefined;
  /** null: what is for operators is open to this machine alone. */
  readonly apiKey: string | null;
  readonly messagesPerSecond: number | null;
  /** A pattern of the rooms whose messages are kept. */
  readonly historyRooms: string;
  /** What the history of one room may take, in bytes. */
  readonly historyRoomBytes: number;
  /** Rooms with history that clients of one process may begin: one user, and all of them. */
  readonly historyRoomsPerUser: number;
  readonly historyMaxRooms: number;
  readonly logLevel: LogLevel;
  /** Processes that share the port. */
  readonly workers: number;
  readonly trustProxy: readonly string[];
}

const OPTIONS = {
  port: { type: "string" },
  host: { type: "string" },
  "jwt-secret": { type: "string" },
  "jwks-url": { type: "string" },
  "jwt-issuer": { type: "string" },
  "jwt-audience": { type: "string" },
  origins: { type: "string" },
  "api-key": { type: "string" },
  "rate-limit": { type: "string" },
  "trust-proxy": { type: "string" },
  "history-rooms": { type: "string" },
  "history-room-bytes": { type: "string" },
  "history-rooms-per-user": { type: "string" },
  "history-max-rooms": { type: "string" },
  "log-level": { type: "string" },
  "max-memory": { type: "string" },
  workers: { type: "string" },
  insecure: { type: "boolean" },
} as const;

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const PORT = wholeNumber("PORT", 8000, 0, 65_535);
const RATE_LIMIT = optional(wholeNumber("ROOMCAST_RATE_LIMIT", 50, 1, 1_000_000), 50);
const ROOM_BYTES = wholeNumber("ROOMCAST_HISTORY_ROOM_BYTES", 4_194_304, 65_536, 2 ** 40);
const ROOMS_PER_USER = wholeNumber("ROOMCAST_HISTORY_ROOMS_PER_USER", 50, 0, 10_000_000);
const MAX_ROOMS = wholeNumber("ROOMCAST_HISTORY_MAX_ROOMS", 10_000, 0, 10_000_000);
const MAX_MEMORY = optional(wholeNumber("ROOMCAST_MAX_MEMORY", 1024, 1, 1_000_000), null);
const WORKERS = wholeNumber("--workers", 1, 1, 256);
const MIN_KEY_LENGTH = 16;

/** @throws ConfigurationError naming the flag or variable, its value and what is allowed. */
export function readServeOptions(args: readonly string[], env: NodeJS.ProcessEnv): ServeOptions {
  const flags = parseFlags("serve", args, OPTIONS);
  const jwt = readJwtSettings(flags, env);
  const config = loadConfig(env);
  return {
    port: readFlagOrSetting(flags, env, "port", PORT),
    host: readHost(flags, env, jwt !== null),
    config,
    workers: readWorkers(flags, config),
    jwt,
    origins: readOrigins(flags, env),
    apiKey: readApiKey(flags, env),
    messagesPerSecond: readFlagOrSetting(flags, env, "rate-limit", RATE_LIMIT),
    historyRooms: readText(flags, env, "history-rooms", "WS_HISTORY_ROOMS")?.value ?? "*",
    historyRoomBytes: readFlagOrSetting(flags, env, "history-room-bytes", ROOM_BYTES),
    historyRoomsPerUser: readFlagOrSetting(flags, env, "history-rooms-per-user", ROOMS_PER_USER),
    historyMaxRooms: readFlagOrSetting(flags, env, "history-max-rooms", MAX_ROOMS),
    trustProxy: readTrustProxy(flags, env),
    logLevel: readLogLevel(flags, env),
    maxMemoryBytes: readMaxMemory(flags, env),
  };
}

function readHost(flags: Flags, env: NodeJS.ProcessEnv, authenticated: boolean): string {
  const host = readText(flags, env, "host", "HOST")?.value ?? "127.0.0.1";
  if (authenticated || isLoopbackHost(host) || flags.insecure === true) return host;
  throw new ConfigurationError(
    `HOST is ${quote(host)}, which others can reach, but nobody is authenticated. Set JWT_SECRET or ` +
      "JWKS_URL, use a loopback address such as 127.0.0.1, or --insecure if that is what you want.",
  );
}

function readMaxMemory(flags: Flags, env: NodeJS.ProcessEnv): number | null {
  const megabytes = readFlagOrSetting(flags, env, "max-memory", MAX_MEMORY);
  return megabytes === null ? null : megabytes * 1024 * 1024;
}

function readWorkers(flags: Flags, { redisUrl }: WebSocketConfig): number {
  const workers = readFlagOrSetting(flags, {}, "workers", WORKERS);
  if (workers === 1 || redisUrl !== null) return workers;
  throw new ConfigurationError(
    `--workers is ${workers}, but processes share rooms and users only through Redis. Set REDIS_URL, such as ` +
      "redis://localhost:6379, or leave --workers out.",
  );
}

function readOrigins(flags: Flags, env: NodeJS.ProcessEnv): readonly string[] | undefined {
  const text = readText(flags, env, "origins", "ROOMCAST_ORIGINS");
  if (text === null) return undefined;
  const origins = list(text.value);
  for (const origin of origins) {
    const fault = faultOfOrigin(origin);
    if (fault !== null) throw new ConfigurationError(`An origin of ${text.name} ${fault}`);
  }
  return origins;
}

function readApiKey(flags: Flags, env: NodeJS.ProcessEnv): string | null {
  const key = readText(flags, env, "api-key", "ROOMCAST_API_KEY");
  if (key === null || key.value.length >= MIN_KEY_LENGTH) return key?.value ?? null;
  throw new ConfigurationError(
    `${key.name} has ${key.value.length} characters, but must have at least ${MIN_KEY_LENGTH}. ` +
      "Make one with: openssl rand -hex 32",
  );
}

function readTrustProxy(flags: Flags, env: NodeJS.ProcessEnv): readonly string[] {
  const text = readText(flags, env, "trust-proxy", "ROOMCAST_TRUST_PROXY");
  const hops = list(text?.value ?? "");
  try {
    trustedHops(hops);
  } catch (cause) {
    const example = "addresses and subnets such as 10.0.0.0/8, with commas between";
    throw new ConfigurationError(
      `${text?.name} is ${quote(text?.value ?? "")}, but must list ${example}.`,
      { cause },
    );
  }
  return hops;
}

function readLogLevel(flags: Flags, env: NodeJS.ProcessEnv): LogLevel {
  const text = readText(flags, env, "log-level", "ROOMCAST_LOG_LEVEL");
  const level = text === null ? "info" : LOG_LEVELS.find((one) => one === text.value);
  if (level !== undefined) return level;
  throw new ConfigurationError(
    `${text?.name} is ${quote(text?.value ?? "")}, but must be one of ${LOG_LEVELS.join(", ")}.`,
  );
}

function list(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
