import type { CloseInfo, Connection } from "../connection/connection.ts";

/** The events of a `ConnectionManager`, with what their listeners are called with. */
export interface ManagerEvents {
  /** A connection of this instance was registered. */
  connect: [connection: Connection<unknown>];
  /** A connection of this instance has ended; once for each. */
  disconnect: [connection: Connection<unknown>, info: CloseInfo];
  /** A user came into a room of the cluster; on the instance that made it so. */
  join: [change: { readonly user: string; readonly room: string }];
  /** A user is in a room of the cluster no more; on the instance that made it so. */
  leave: [change: { readonly user: string; readonly room: string }];
  /** A user came online; on the instance that made it so. */
  online: [change: { readonly user: string }];
  /** A user went offline; on the instance that made it so. */
  offline: [change: { readonly user: string }];
  /** The instance became healthy, degraded or draining. */
  status: [change: { readonly status: ManagerStatus }];
  /** Something failed where nobody was waiting for the result. */
  error: [error: unknown, context: FailureContext];
}

/** Where something failed. */
export interface FailureContext {
  readonly stage: string;
  /** The connection it happened for, and its user, where there is one. */
  readonly connection?: string;
  readonly user?: string | undefined;
}

export type ManagerStatus = "healthy" | "degraded" | "draining";
