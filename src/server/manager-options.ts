import type { Principal } from "../auth/authenticator.ts";
import type { Backplane } from "../backplane/contract/backplane.ts";
import type { WebSocketConfig } from "../protocol/config.ts";
import type { Message } from "../protocol/payload.ts";
import type { Connection, Delivery } from "./connection.ts";
import type { ManagerStatus } from "./events.ts";
import type { Except } from "./exclusion.ts";
import type { Limits } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { BroadcastOptions, RoomPolicies } from "./room-policy.ts";

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
  /** Default: says nothing. */
  readonly logger?: Logger;
}

export interface ConnectOptions {
  /** Unique in the cluster; the holder of an id in use is replaced (4409). Default: made here. */
  readonly id?: string;
  /** Default: the principal's id, if there is one. */
  readonly userId?: string;
  /** Who it belongs to, as it was proven; the connection ends with the credential (4401). */
  readonly principal?: Principal;
  /** Rooms to join at once. */
  readonly rooms?: Iterable<string>;
  /** Kept as it is; JSON, if others are to see it in `presence`. */
  readonly metadata?: Record<string, unknown>;
}

/** A connection, its id, or all connections of a user. */
export type Target = Connection<unknown> | string | { readonly userId: string };

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

/** A room that is published to from anywhere, even by processes that hold no connections. */
export interface Topic {
  readonly name: string;
  /** Sends to everyone who is in the room of that name; see `broadcastToRoom`. */
  publish(message: Message, options?: DurableSendOptions): Promise<Delivery>;
}
