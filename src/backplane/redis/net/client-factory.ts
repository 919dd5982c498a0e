import { clientLibrary } from "./client-library.ts";
import type { Client } from "./connection.ts";
import { findPrimary, type SentinelLocation } from "./sentinel.ts";

export interface RedisLocation {
  /** `redis[s]://[[user][:password]@]host[:port][/database]`. Default redis://127.0.0.1:6379. */
  readonly url?: string;
  /** A client of the application's own: its settings are used, it is never touched. */
  readonly client?: Client;
  /** Ask these where the primary is; the URL then only says who we are. */
  readonly sentinel?: SentinelLocation;
  /**
   * URLs of some nodes of a Redis Cluster, which tell of the others. User, password and TLS of the first
   * hold for all; with `client`, its settings do.
   */
  readonly cluster?: readonly string[];
}

/** Where a server is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Makes fresh clients for one Redis. Their own reconnecting, queueing and timeouts for commands are off:
 * they hide an outage, and `Connection` does what is needed.
 */
export interface ClientFactory {
  /** Nodes of a Cluster, to ask for the others; null: there is one server. */
  readonly seeds: readonly Address[] | null;
  /** In a Cluster, of the node that is named. */
  make(node?: Address): Promise<Client>;
}

export function clientFactory(location: RedisLocation, instanceId: string): ClientFactory {
  const { client, sentinel, cluster } = location;
  const url = cluster?.[0] ?? location.url ?? "redis://127.0.0.1:6379";
  const options = {
    // CLIENT SETNAME takes no spaces nor anything outside ASCII.
    name: `roomcast:${instanceId.replace(/[^!-~]/g, "-")}`,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 100_000,
    maintNotifications: "disabled" as const,
    // A timer for each command would cost more than the command; `Scripts` and the watchdog have deadlines.
    commandOptions: { timeout: 0 },
  };
  const socket = {
    connectTimeout: 3000,
    socketTimeout: 10_000,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    reconnectStrategy: false as const,
  };
  return {
    seeds: cluster?.map(addressOf) ?? null,
    make: async (node) => {
      const { createClient } = await clientLibrary();
      if (client !== undefined) {
        const { url: _, socket: theirs, ...rest } = client.options;
        return client.duplicate({
          ...rest,
          ...options,
          socket: { ...theirs, ...node, ...socket },
        }) as Client;
      }
      // Looked up for each connection anew: another one may be the primary by then.
      const server = sentinel === undefined ? node : await findPrimary(sentinel);
      return createClient({ ...options, url: at(url, server), socket: { ...socket } }) as Client;
    },
  };
}

/** The URL with its credentials, of another server where one is given. */
function at(url: string, server: Address | undefined): string {
  if (server === undefined) return url;
  const moved = new URL(url);
  moved.hostname = server.host.includes(":") ? `[${server.host}]` : server.host;
  moved.port = String(server.port);
  return moved.href;
}

function addressOf(url: string): Address {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || 6379) };
}
