import { expect, test } from "vitest";
import { Keys } from "../../../src/backplane/redis/keys.ts";
import { ConfigurationError } from "../../../src/protocol/errors.ts";
import { redisBackplane } from "../../../src/redis.ts";

test.each([
  "ws:room:",
  "ws:user:",
  "room:",
  "app:log:x:",
  "ws:log-end:",
  "ws:connection:",
  "ws:tasks",
])("the prefix %j lies within the names of another cluster, and is refused", (prefix) => {
  expect(() => redisBackplane({ prefix })).toThrow(ConfigurationError);
  expect(() => redisBackplane({ prefix })).toThrow(/no part of it may be/);
});

test.each(["ws:", "app:ws:", "rooms-of-mine:", "ws:2:", "broadcasts:"])(
  "%j is a prefix",
  (prefix) => {
    expect(new Keys(prefix).channel("room:lobby")).toBe(`${prefix}room:lobby`);
    expect(() => redisBackplane({ prefix })).not.toThrow();
  },
);
