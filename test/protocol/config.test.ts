import { describe, expect, test } from "vitest";
import { loadConfig, redisUrls, resolveConfig } from "../../src/protocol/config.ts";
import { ConfigurationError } from "../../src/protocol/errors.ts";

test("an empty environment gives the documented defaults", () => {
  expect(loadConfig({})).toEqual({
    openTimeoutMs: 10_000,
    closeTimeoutMs: 10_000,
    pingIntervalMs: 20_000,
    pingTimeoutMs: 20_000,
    maxMessageSize: 1_048_576,
    maxQueueSize: 16,
    reconnectEnabled: true,
    reconnectMaxAttempts: 5,
    reconnectBackoffBaseMs: 1000,
    reconnectBackoffMaxMs: 60_000,
    reconnectJitter: 1,
    redisUrl: null,
    channelPrefix: "ws:",
    presenceTtlMs: 15_000,
    maxConnectionsPerUser: null,
    historyMaxLength: 10_000,
  });
  expect(resolveConfig()).toEqual(loadConfig({}));
});

test("the environment speaks in seconds, options in milliseconds", () => {
  const env = {
    WS_OPEN_TIMEOUT: "30",
    WS_CLOSE_TIMEOUT: " 1.5 ",
    WS_PING_INTERVAL: "none",
    WS_PING_TIMEOUT: "5",
    WS_MAX_MESSAGE_SIZE: "16777216",
    WS_MAX_QUEUE_SIZE: "1",
    WS_RECONNECT_ENABLED: "false",
    WS_RECONNECT_MAX_ATTEMPTS: "0",
    WS_RECONNECT_BACKOFF_BASE: "0.5",
    WS_RECONNECT_BACKOFF_MAX: "10",
    WS_RECONNECT_JITTER: "1",
    REDIS_URL: "redis://localhost:6379/1",
    WS_CHANNEL_PREFIX: "app:",
    WS_PRESENCE_TTL: "30",
    WS_MAX_CONNECTIONS_PER_USER: "3",
    WS_HISTORY_MAX_LENGTH: "50",
  };
  expect(loadConfig(env)).toEqual({
    openTimeoutMs: 30_000,
    closeTimeoutMs: 1500,
    pingIntervalMs: null,
    pingTimeoutMs: 5000,
    maxMessageSize: 16_777_216,
    maxQueueSize: 1,
    reconnectEnabled: false,
    reconnectMaxAttempts: 0,
    reconnectBackoffBaseMs: 500,
    reconnectBackoffMaxMs: 10_000,
    reconnectJitter: 1,
    redisUrl: "redis://localhost:6379/1",
    channelPrefix: "app:",
    presenceTtlMs: 30_000,
    maxConnectionsPerUser: 3,
    historyMaxLength: 50,
  });
});

test("a blank variable counts as absent, and so does an option that is undefined", () => {
  expect(loadConfig({ WS_PING_TIMEOUT: "  " }).pingTimeoutMs).toBe(20_000);
  const options: object = { pingTimeoutMs: undefined };
  expect(resolveConfig(options).pingTimeoutMs).toBe(20_000);
});

describe("a value that is not understood names the variable, the value and what is allowed", () => {
  test.each([
    ["WS_PING_INTERVAL", "-1", "seconds from 0.1 to 3600, or none"],
    ["WS_PING_INTERVAL", "never", "seconds from 0.1 to 3600, or none"],
    ["WS_PING_TIMEOUT", "none", "seconds from 0.1 to 3600"],
    ["WS_OPEN_TIMEOUT", "0", "seconds"],
    ["WS_CLOSE_TIMEOUT", "1e3", "seconds"],
    ["WS_CLOSE_TIMEOUT", "Infinity", "seconds"],
    ["WS_MAX_MESSAGE_SIZE", "1.5", "a whole number"],
    ["WS_MAX_MESSAGE_SIZE", "0x10", "a whole number"],
    ["WS_MAX_QUEUE_SIZE", "0", "a whole number from 1"],
    ["WS_RECONNECT_ENABLED", "maybe", "true or false"],
    ["WS_RECONNECT_JITTER", "1.1", "from 0 to 1"],
    ["WS_CHANNEL_PREFIX", "{ws}", "without control characters, { or }"],
    ["WS_MAX_CONNECTIONS_PER_USER", "0", "a whole number from 1"],
  ])("%s=%s", (variable, value, allowed) => {
    const load = (): unknown => loadConfig({ [variable]: value });
    expect(load).toThrow(ConfigurationError);
    expect(load).toThrow(`${variable} is "${value}"`);
    expect(load).toThrow(allowed);
  });

  test("a URL of Redis may hold a password, so it is not shown", () => {
    const load = (): unknown => loadConfig({ REDIS_URL: "http://:secret@host" });
    expect(load).toThrow("REDIS_URL is (hidden)");
    expect(load).toThrow("redis://");
  });

  test.each<[object, string, typeof TypeError]>([
    [{ pingIntervalMs: -1 }, "config.pingIntervalMs", RangeError],
    [{ pingTimeoutMs: "20" }, "config.pingTimeoutMs", TypeError],
    [{ pingTimeoutMs: null }, "config.pingTimeoutMs", TypeError],
    [{ maxQueueSize: 0.5 }, "config.maxQueueSize", RangeError],
    [{ pingIntervall: 5 }, "config has no option pingIntervall", TypeError],
  ])("the option in %j", (options, name, kind) => {
    expect(() => resolveConfig(options)).toThrow(kind);
    expect(() => resolveConfig(options)).toThrow(name);
  });
});

test("several Redis URLs with commas between them are nodes of a Cluster; a comma in one is part of it", () => {
  const { redisUrl } = loadConfig({ REDIS_URL: "redis://:a,b@one:7000,rediss://two" });
  expect(redisUrls(redisUrl ?? "")).toEqual(["redis://:a,b@one:7000", "rediss://two"]);
});
