import type { ClientConfig } from "../protocol/client-config.ts";
import type { Heartbeat } from "./connection/heartbeat.ts";
import type { ReconnectPolicy, Wait } from "./connection/reconnect-policy.ts";
import type { Emitter } from "./events.ts";
import type { ReceiveQueue } from "./messages/receive-queue.ts";
import type { SendQueue } from "./messages/send-queue.ts";
import type { WebSocketClientOptions } from "./options.ts";
import type { Rooms } from "./rooms.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { Positions } from "./v1/positions.ts";

/** What a client consists of, besides its connection, which goes through it. */
export interface ClientParts {
  readonly runtime: Runtime;
  readonly url: string;
  readonly options: WebSocketClientOptions;
  readonly config: ClientConfig;
  readonly events: Emitter;
  readonly policy: ReconnectPolicy;
  readonly heartbeat: Heartbeat;
  readonly rooms: Rooms;
  readonly positions: Positions;
  readonly sendQueue: SendQueue;
  readonly receiveQueue: ReceiveQueue;
  /** If it is one of several that are made one after another, and never comes back itself. */
  readonly succession: Succession | undefined;
}

/** What clients that are made one after another have in common. */
export interface Succession {
  policy?: ReconnectPolicy;
  /** When the next one may be made; absent: there is to be none. */
  wait?: Wait | undefined;
  /** Why there is to be none; absent if the last one ended normally. */
  error?: Error | undefined;
}
