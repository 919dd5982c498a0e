export type { ClientState } from "./client/connection/phase.ts";
export type { ClientEvents, CloseEvent, MessageInfo, ReconnectingEvent } from "./client/events.ts";
export { connect, WebSocketClient } from "./client/node.ts";
export type {
  ReceivedMessage,
  Token,
  WaitOptions,
  WebSocketClientOptions,
} from "./client/options.ts";
export type { BaseClient } from "./client/web-socket-client.ts";
export type { ClientConfig } from "./protocol/client-config.ts";
export {
  AuthenticationError,
  ConnectionClosedError,
  ConnectionFailedError,
  MessageTooLargeError,
  WebSocketError,
  type WebSocketErrorOptions,
} from "./protocol/errors.ts";
export type { SchemaOutput, StandardSchema } from "./protocol/standard-schema.ts";
