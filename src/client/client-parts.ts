import type { ClientConfig } from "../protocol/client-config.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { createEmitter, type Emitter } from "./events.ts";
import { createHeartbeat, type Heartbeat } from "./heartbeat.ts";
import { createInbox, type Inbox } from "./inbox.ts";
import type { WebSocketClientOptions } from "./options.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import {
  createPersistentConnection,
  type PersistentConnection,
  type Succession,
} from "./persistent-connection.ts";
import { createPositions, type Positions } from "./positions.ts";
import { createReconnectPolicy } from "./reconnect-policy.ts";
import { type ClientSocket, nothing, type Runtime } from "./runtime.ts";
import { takeFrame } from "./session.ts";

/** What a client is made of. */
export interface ClientParts {
  readonly events: Emitter;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly places: Positions;
  readonly heartbeat: Heartbeat;
  readonly connection: PersistentConnection;
  /** The open connection, if there is one. */
  readonly socket: ClientSocket | undefined;
}

/** Puts a client together: what comes goes to the inbox, by way of the session where there is one. */
export function assemble(
  runtime: Runtime,
  url: string,
  config: ClientConfig,
  options: WebSocketClientOptions,
  succession: Succession | undefined,
): ClientParts {
  const { offlineQueue = 100, resumeFrom = {}, token } = options;
  if (!(offlineQueue >= 0)) {
    throw new RangeError(`offlineQueue must be 0 or more, not ${offlineQueue}.`);
  }
  let socket: ClientSocket | undefined;
  let wasOpen = false;
  const isRenewable = typeof token === "function";
  const policy = succession?.policy ?? createReconnectPolicy(config, runtime.random, isRenewable);
  if (succession) succession.policy = policy;
  const events = createEmitter();
  const places = createPositions(resumeFrom);
  const heartbeat = createHeartbeat(runtime, config);
  const outbox = createOutbox(offlineQueue, config.maxMessageSize);
  const inbox = createInbox(config.maxQueueSize, events, {
    hold: (held) => socket?.hold?.(held),
    taken: places.took,
  });

  /** What cannot be sent shows in the end of the connection. */
  const tell = (frame: object): unknown => socket?.send(JSON.stringify(frame)).catch(nothing);
  const isEnveloped = (): boolean => socket?.protocol === SUBPROTOCOL;
  const refresh = async (): Promise<void> => {
    if (isRenewable) tell({ type: "auth", token: await token() });
  };
  const session = { events, inbox, outbox, places, heartbeat, policy, refresh };
  const to = { runtime, url, options, config, policy, events, heartbeat, succession };
  const connection = createPersistentConnection(to, {
    began: () => {
      wasOpen = false;
      inbox.begin();
      outbox.begin();
    },
    opened: (by) => {
      socket = by;
      let { ping } = by;
      if (isEnveloped()) {
        tell({ type: "resume", rooms: places.resume() });
        ping ??= (t) => tell({ type: "ping", t });
      }
      heartbeat.start(by, ping);
      by.hold?.(inbox.held);
      outbox.open(by);
      events.emit("open", { reconnected: wasOpen });
      wasOpen = true;
    },
    received: (message) => {
      if (isEnveloped()) takeFrame(message, session);
      else inbox.arrive({ message, info: {} });
    },
    lost: () => {
      socket = undefined;
      outbox.lost();
    },
    finished: (error, isNormal) => {
      outbox.end(error);
      inbox.end(error, isNormal);
      events.emit("close", { code: error.closeCode, reason: error.reason });
    },
  });
  return {
    events,
    inbox,
    outbox,
    places,
    heartbeat,
    connection,
    get socket() {
      return socket;
    },
  };
}
