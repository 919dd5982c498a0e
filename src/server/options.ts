import type { Principal } from "../auth/authenticator.ts";
import type { Backplane } from "../backplane/contract/backplane.ts";
import type { AnyConnection, Delivery } from "../connection/connection.ts";
import type { Log } from "../events/log.ts";
import type { Logger } from "../events/logger.ts";
import { resolveConfig, type WebSocketConfig } from "../protocol/config.ts";
import type { Message } from "../protocol/payload.ts";
import type { Except } from "../rooms/exclusion.ts";
import type { BroadcastOptions, RoomPolicies } from "../rooms/policy.ts";
import type { ManagerStatus } from "./events.ts";
import type { Limits } from "./limits.ts";

export interface ConnectionManagerOptions {
  /** What carries messages between instances. Default: one in memory, for this manager alone. */
  readonly backplane?: Backplane;
  /** Unique in the cluster. Default: random. */
  readonly instanceId?: string;
  /** Defaults where absent; `loadConfig()` reads the environment. */
  readonly config?: Partial<WebSocketConfig>;
  readonly limits?: Partial<Limits>;
  /** Policies by pattern of the room's name; the first that fits holds. */
  readonly rooms?: RoomPolicies;
  /** The policy of messages to everyone: with a history they are durable. */
  readonly broadcast?: BroadcastOptions;
  /** How long a user who dropped without a normal close stays online, in milliseconds. Default 10,000. */
  readonly offlineGraceMs?: number;
  /**
   * Default: what somebody should do something about goes to the console, and with `DEBUG=roomcast` in the
   * environment everything.
   */
  readonly logger?: Logger;
}

export const MANAGER_OPTIONS = [
  "backplane",
  "instanceId",
  "config",
  "limits",
  "rooms",
  "broadcast",
  "offlineGraceMs",
  "logger",
] as const;

/** How long a user who dropped stays online, in milliseconds. */
const OFFLINE_GRACE_MS = 10_000;

/** @throws RangeError if it is none. */
export function checkGrace(offlineGraceMs: number = OFFLINE_GRACE_MS): number {
  if (offlineGraceMs >= 0) return offlineGraceMs;
  throw new RangeError(`offlineGraceMs must be milliseconds, 0 or more, not ${offlineGraceMs}.`);
}

/** Settings for a backplane do nothing in a manager that was given none: says so. */
export function warnOfUnused(config: WebSocketConfig, log: Log): void {
  const { redisUrl, channelPrefix, presenceTtlMs } = config;
  const defaults = resolveConfig();
  const unused = redisUrl === null ? [] : ["redisUrl (REDIS_URL)"];
  if (channelPrefix !== defaults.channelPrefix) unused.push("channelPrefix (WS_CHANNEL_PREFIX)");
  if (presenceTtlMs !== defaults.presenceTtlMs) unused.push("presenceTtlMs (WS_PRESENCE_TTL)");
  if (unused.length === 0) return;
  const message =
    `config has ${unused.join(" and ")}, but the manager has no backplane and runs on this process alone; ` +
    "to use Redis: new ConnectionManager({ config, backplane: redisBackplane({ url: config.redisUrl }) }).";
  log.advise({}, message);
}

export interface ConnectOptions<D extends object = Record<string, unknown>> {
  /** Unique in the cluster; the holder of an id in use is replaced (4409). Default: made here. */
  readonly id?: string;
  /** Default: the principal's id, if there is one. */
  readonly userId?: string;
  /** Who it belongs to, as it was proven; the connection ends with the credential (4401). */
  readonly principal?: Principal;
  /** Rooms to join at once. */
  readonly rooms?: Iterable<string>;
  /** The client's address. Default: what the socket tells, which behind a proxy is the proxy's. */
  readonly remoteAddress?: string;
  /** Kept as it is; JSON, if others are to see it in `presence`. */
  readonly metadata?: D;
}

export type ConnectionOrId = AnyConnection | string;

/** A connection, its id, or all connections of a user. */
export type Target = ConnectionOrId | { readonly userId: string };

/** One for all who give none. */
export const NO_OPTIONS = {};

export interface SendOptions {
  /** Whom to leave out, on every instance. */
  readonly except?: Except;
}

/** For sends that may be stored. */
export interface DurableSendOptions extends SendOptions {
  /**
   * Whether to store the message; only where the room's policy has a history. Default: there yes. An
   * explicit true never goes out as ephemeral, whatever the policy says.
   */
  readonly persist?: boolean;
  /**
   * A name for the message: another one of the same name within ten minutes is neither stored nor sent, and
   * its `Delivery` has the `id` of the first. Like an explicit `persist: true`, it is for stored messages only.
   */
  readonly idempotencyKey?: string;
}

/** How to close; by default 1000 without a reason. */
export interface CloseOptions {
  readonly code?: number;
  readonly reason?: string;
}

/** What `health()` answers. */
export interface Health {
  readonly status: ManagerStatus;
  readonly instance_id: string;
  readonly local_connections: number;
  readonly local_users: number;
  readonly local_rooms: number;
  readonly global_online_users: number;
  readonly redis_connected: boolean;
}

/** A room that is published to from anywhere, even by processes that hold no connections. `T`: what is published there. */
export interface Topic<T = Message> {
  readonly name: string;
  /** Sends to everyone who is in the room of that name; see `broadcastToRoom`. */
  publish(message: T, options?: DurableSendOptions): Promise<Delivery>;
}
