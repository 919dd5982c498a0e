import { checkOptions } from "./check-options.ts";
import type { ClientConfig } from "./client-config.ts";
import { isName } from "./names.ts";
import {
  checkSetting,
  duration,
  flag,
  fraction,
  optional,
  readSetting,
  type Setting,
  wholeNumber,
} from "./setting.ts";

/** How connections behave, on both ends. Times are in milliseconds, sizes in bytes. */
export interface WebSocketConfig extends ClientConfig {
  /** The Redis to use, or nodes of a Redis Cluster with commas between; null: in memory. Default null. */
  readonly redisUrl: string | null;
  /** What every key and channel begins with; separates clusters on one Redis. Default `ws:`. */
  readonly channelPrefix: string;
  /** How long after its last heartbeat an instance counts as gone. Default 15,000. */
  readonly presenceTtlMs: number;
  /** How many connections one user may hold in the cluster; null: no limit. Default null. */
  readonly maxConnectionsPerUser: number | null;
  /** How many messages a durable room keeps. Default 10,000. */
  readonly historyMaxLength: number;
}

const HOUR = 3_600_000;
const TIMEOUT = { minMs: 100, maxMs: HOUR };

export const MAX_MESSAGE_SIZE: Setting<number> = wholeNumber(
  "WS_MAX_MESSAGE_SIZE",
  1_048_576,
  1,
  0x3fff_ffff,
  " (bytes)",
);

export const CONFIG_SETTINGS: {
  readonly [K in keyof WebSocketConfig]: Setting<WebSocketConfig[K]>;
} = {
  openTimeoutMs: duration("WS_OPEN_TIMEOUT", 10_000, TIMEOUT),
  closeTimeoutMs: duration("WS_CLOSE_TIMEOUT", 10_000, TIMEOUT),
  pingIntervalMs: optional(duration("WS_PING_INTERVAL", 20_000, TIMEOUT), 20_000),
  pingTimeoutMs: duration("WS_PING_TIMEOUT", 20_000, TIMEOUT),
  maxMessageSize: MAX_MESSAGE_SIZE,
  maxQueueSize: wholeNumber("WS_MAX_QUEUE_SIZE", 16, 1, 1_000_000),
  reconnectEnabled: flag("WS_RECONNECT_ENABLED", true),
  reconnectMaxAttempts: wholeNumber("WS_RECONNECT_MAX_ATTEMPTS", 5, 0, 1_000_000, " (0: no limit)"),
  reconnectBackoffBaseMs: duration("WS_RECONNECT_BACKOFF_BASE", 1000, { minMs: 0, maxMs: HOUR }),
  reconnectBackoffMaxMs: duration("WS_RECONNECT_BACKOFF_MAX", 60_000, {
    minMs: 0,
    maxMs: 24 * HOUR,
  }),
  reconnectJitter: fraction("WS_RECONNECT_JITTER", 1),
  redisUrl: optional(redisUrl("REDIS_URL"), null),
  channelPrefix: channelPrefix("WS_CHANNEL_PREFIX", "ws:"),
  presenceTtlMs: duration("WS_PRESENCE_TTL", 15_000, { minMs: 1000, maxMs: HOUR }),
  maxConnectionsPerUser: optional(
    wholeNumber("WS_MAX_CONNECTIONS_PER_USER", 1, 1, 1_000_000),
    null,
  ),
  historyMaxLength: wholeNumber("WS_HISTORY_MAX_LENGTH", 10_000, 1, 10_000_000),
};

/**
 * Reads the configuration from the environment: the `WS_*` variables (times in seconds) and `REDIS_URL`.
 * The only place where the library does so.
 *
 * @throws ConfigurationError naming the variable, its value and what is allowed.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): WebSocketConfig {
  return each((_name, setting) => readSetting(env, setting));
}

/**
 * Completes `options` with the defaults. An explicit undefined counts as absent.
 *
 * @throws TypeError or RangeError naming the option, its value and what is allowed.
 */
export function resolveConfig(options: Partial<WebSocketConfig> = {}): WebSocketConfig {
  checkOptions("config", options, Object.keys(CONFIG_SETTINGS));
  return each((name, setting) => checkSetting(`config.${name}`, options[name], setting));
}

function each(
  value: <K extends keyof WebSocketConfig>(
    name: K,
    setting: Setting<WebSocketConfig[K]>,
  ) => WebSocketConfig[K],
): WebSocketConfig {
  const of = <K extends keyof WebSocketConfig>(name: K): WebSocketConfig[K] =>
    value(name, CONFIG_SETTINGS[name]);
  return {
    openTimeoutMs: of("openTimeoutMs"),
    closeTimeoutMs: of("closeTimeoutMs"),
    pingIntervalMs: of("pingIntervalMs"),
    pingTimeoutMs: of("pingTimeoutMs"),
    maxMessageSize: of("maxMessageSize"),
    maxQueueSize: of("maxQueueSize"),
    reconnectEnabled: of("reconnectEnabled"),
    reconnectMaxAttempts: of("reconnectMaxAttempts"),
    reconnectBackoffBaseMs: of("reconnectBackoffBaseMs"),
    reconnectBackoffMaxMs: of("reconnectBackoffMaxMs"),
    reconnectJitter: of("reconnectJitter"),
    redisUrl: of("redisUrl"),
    channelPrefix: of("channelPrefix"),
    presenceTtlMs: of("presenceTtlMs"),
    maxConnectionsPerUser: of("maxConnectionsPerUser"),
    historyMaxLength: of("historyMaxLength"),
  };
}

/** The URLs in `redisUrl`: one, or those of some nodes of a Redis Cluster. */
export function redisUrls(text: string): string[] {
  return text.split(/,(?=rediss?:\/\/)/);
}

function redisUrl(variable: string): Setting<string> {
  const allowed = "URLs that begin with redis:// or rediss://, with commas between them";
  const isUrl = (url: string): boolean => /^rediss?:\/\//.test(url) && URL.canParse(url);
  const accepts = (value: unknown): value is string =>
    typeof value === "string" && redisUrls(value).every(isUrl);
  return {
    variable,
    default: "",
    allowed,
    allowedOption: allowed,
    secret: true,
    parse: (text) => text,
    accepts,
  };
}

function channelPrefix(variable: string, defaultValue: string): Setting<string> {
  const allowed = "1 to 256 bytes of text without control characters, { or }";
  return {
    variable,
    default: defaultValue,
    allowed,
    allowedOption: allowed,
    parse: (text) => text,
    accepts: isName,
  };
}
