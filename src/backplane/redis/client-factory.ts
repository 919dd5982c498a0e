import { createClient } from "@redis/client";
import type { Client } from "./connection.ts";
import { findPrimary, type SentinelLocation } from "./sentinel.ts";

export interface RedisLocation {
  /** `redis[s]://[[user][:password]@]host[:port][/database]`. Default redis://127.0.0.1:6379. */
  readonly url?: string;
  /** A client of the application's own: its settings are used, it is never touched. */
  readonly client?: Client;
  /** Ask these where the primary is; the URL then only says who we are. */
  readonly sentinel?: SentinelLocation;
}

/**
 * Makes fresh clients for one Redis. Their own reconnecting, queueing and timeouts for commands are off:
 * they hide an outage, and `Connection` does what is needed.
 */
export function clientFactory(
  { url = "redis://127.0.0.1:6379", client, sentinel }: RedisLocation,
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
    if (client !== undefined) {
      const theirs = client.options.socket;
      return client.duplicate({ ...options, socket: { ...theirs, ...socket } }) as Client;
    }
    // Looked up for each connection anew: another one may be the primary by then.
    const target = sentinel === undefined ? url : at(url, await findPrimary(sentinel));
    return createClient({ ...options, url: target, socket }) as Client;
  };
}

/** The URL with its credentials, but of another server. */
function at(url: string, { host, port }: { host: string; port: number }): string {
  const moved = new URL(url);
  moved.hostname = host.includes(":") ? `[${host}]` : host;
  moved.port = String(port);
  return moved.href;
}
