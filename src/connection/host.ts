import type { Principal } from "../auth/authenticator.ts";
import type { FanOut } from "../fanout/fan-out.ts";
import type { InboundLimits } from "../inbound/inbound.ts";
import type { StandardSchema } from "../protocol/standard-schema.ts";
import type { Authorize, CloseInfo } from "./connection.ts";

/**
 * What an instance does for its connections: the one seam between a connection and all that is above it. None of
 * these may throw.
 */
export interface ConnectionHost<C> {
  readonly fanOut: FanOut;
  /** How far what is queued here gets: "cluster" while the backplane is there. */
  readonly scope: "cluster" | "instance";
  join(connection: C, room: string): Promise<boolean>;
  leave(connection: C, room: string): Promise<boolean>;
  /**
   * Nothing more can be sent to the connection; called once. `dropped`: nobody meant it to end, so the client
   * may return.
   */
  closing(connection: C, dropped: boolean): void;
  /** Its socket has closed; called once, after `closing`. */
  closed(connection: C, info: CloseInfo): void;
  failed(error: unknown, stage: string, connection: C): void;
}

/** Who a connection is. */
export interface Identity {
  readonly id: string;
  readonly userId: string | undefined;
  readonly principal: Principal | null;
  readonly metadata: Record<string, unknown>;
  /** undefined: what the socket tells. */
  readonly remoteAddress?: string | undefined;
  /** What a limit by address counts it with; null: with nobody. */
  readonly addressGroup: string | null;
}

/** What a connection may use. */
export interface ConnectionBounds extends InboundLimits {
  /** Bytes that may wait for its reader. */
  readonly maxBufferedBytes: number;
  readonly pingsPerSecond: number;
}

/** What the route a connection came by makes of it. */
export interface RouteRules {
  readonly authorize: Authorize | null;
  readonly schema: StandardSchema | null;
}
