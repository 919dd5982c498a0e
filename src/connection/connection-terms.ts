import type { Principal } from "../auth/authenticator.ts";
import type { Message } from "../protocol/payload.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import type { StandardSchema } from "../protocol/standard-schema.ts";
import type { CloseInfo } from "../server/events.ts";
import type { Limits } from "../server/limits.ts";
import type { Receipts } from "../v1/receipts.ts";
import type { Renew } from "../v1/session.ts";
import type { Authorize, Delivery } from "./connection.ts";
import type { InboundLimits } from "./inbound.ts";
import type { ServerConnection } from "./server-connection.ts";

/** What a connection needs from its manager. */
export interface ConnectionHost {
  readonly receipts: Receipts;
  /** Sends a frame of ours to a connection, in no envelope. */
  tell(connection: ServerConnection, frame: ServerFrame): void;
  /** The client has said where it stands in its rooms. */
  ready(connection: ServerConnection): void;
  sendTo(connection: ServerConnection, message: Message): Promise<Delivery>;
  join(connection: ServerConnection, room: string): Promise<boolean>;
  leave(connection: ServerConnection, room: string): Promise<boolean>;
  /**
   * Nothing more may be sent to the connection; called at least once. `dropped`: nobody meant it to end,
   * so the client may return.
   */
  closing(connection: ServerConnection, info: CloseInfo, dropped: boolean): void;
  closed(connection: ServerConnection, info: CloseInfo): void;
  report(error: unknown, stage: string): void;
}

/** Who a connection is. */
export interface Identity {
  readonly id: string;
  readonly userId: string | undefined;
  readonly principal: Principal | null;
  readonly metadata: Record<string, unknown>;
}

/** Bounds of a connection. */
export type ConnectionBounds = InboundLimits &
  Pick<Limits, "maxBufferedBytes" | "pingsPerSecond"> & {
    /** How often it is pinged, in milliseconds; 0: never. */
    readonly heartbeatMs: number;
  };

/** What the route a connection came by makes of it. */
export interface RouteTerms {
  readonly authorize: Authorize | null;
  readonly schema: StandardSchema | null;
  /** Checks a fresh token; null where there is nothing to renew. */
  readonly renew: Renew | null;
}
