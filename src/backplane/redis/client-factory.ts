import { createClient } from "@redis/client";
import type { Client } from "./connection.ts";

export interface RedisLocation {
  /** `redis[s]://[[user][:password]@]host[:port][/database]`. Default redis://127.0.0.1:6379. */
  readonly url?: string;
  /** A client of the application's own: its settings are used, it is never touched. */
  readonly client?: Client;
}

/**
 * Makes fresh clients for one Redis. Their own reconnecting, queueing and timeouts for commands are off:
 * they hide an outage, and `Connection` does what is needed.
 */
export function clientFactory(
  { url = "redis://127.0.0.1:6379", client }: RedisLocation,
  instanceId: string,
): () => Promise<Client> {
  return async () => {
    const options = {
      // CLIENT SETNAME takes no spaces nor anything outside ASCII.
      name: `roomcast:${instanceId.replace(/[^!-~]/g, "-")}`,
      disableOfflineQueue: true,
      commandsQueueMaxLength: 100_000,
      maintNotifications: "disabled" as const,
    };
    const socket = {
      connectTimeout: 3000,
      socketTimeout: 10_000,
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
      reconnectStrategy: false as const,
    };
    if (client === undefined) return createClient({ ...options, url, socket }) as Client;
    return client.duplicate({
      ...options,
      socket: { ...client.options.socket, ...socket },
    }) as Client;
  };
}
