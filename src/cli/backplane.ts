import type { Backplane } from "../backplane/contract/backplane.ts";
import { memoryBackplane } from "../backplane/memory/memory-backplane.ts";
import { redisUrls, type WebSocketConfig } from "../protocol/config.ts";
import { ConfigurationError } from "../protocol/errors.ts";

/** On Redis where there is a URL, on a Redis Cluster where there are several, else in memory. */
export async function backplaneFor(config: WebSocketConfig): Promise<Backplane> {
  const { redisUrl: url, channelPrefix: prefix, presenceTtlMs: leaseMs } = config;
  if (url === null) return memoryBackplane();
  await requireRedisClient();
  const { redisBackplane } = await import("../backplane/redis/redis-backplane.ts");
  const urls = redisUrls(url);
  const location = urls.length > 1 ? { cluster: urls } : { url };
  return redisBackplane({ ...location, prefix, leaseMs });
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
