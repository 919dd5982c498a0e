import type { Scope } from "../../backplane/contract/broker.ts";

/** What became of an order to close connections. */
export interface Disconnected {
  /**
   * "cluster": every instance that holds such a connection has closed it. "instance": the backplane is away, and only
   * this instance has. "unknown": some instance has not answered. In the last two cases the order is kept, and given
   * again, until every instance has answered or counts as gone.
   */
  readonly scope: Scope;
  /** How many connections were closed, as far as is known. */
  readonly connections: number;
}
