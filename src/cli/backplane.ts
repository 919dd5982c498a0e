import type { Backplane } from "../backplane/backplane.ts";
import { memoryBackplane } from "../backplane/memory/memory-backplane.ts";
import type { WebSocketConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";

/** On Redis where there is a URL, else in memory. */
export async function backplaneFor(config: WebSocketConfig): Promise<Backplane> {
  const { redisUrl: url, channelPrefix: prefix, presenceTtlMs: leaseMs } = config;
  if (url === null) return memoryBackplane();
  await requireRedisClient();
  const { redisBackplane } = await import("../backplane/redis/redis-backplane.ts");
  return redisBackplane({ url, prefix, leaseMs });
}

/** @throws ConfigurationError if the optional package that Redis needs is not installed. */
async function requireRedisClient(): Promise<void> {
  try {
    await import("@redis/client");
  } catch (cause) {
    const message = "REDIS_URL needs the package @redis/client: npm install @redis/client";
    throw new ConfigurationError(message, { cause });
  }
}
