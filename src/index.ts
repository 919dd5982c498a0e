export type { AuthenticationContext, Authenticator, Principal } from "./auth/authenticator.ts";
export type { Attachment, Backplane, Instance } from "./backplane/contract/backplane.ts";
export type {
  AnswerPacket,
  Broker,
  BrokerStatus,
  Channel,
  DisconnectPacket,
  Exclusion,
  MembershipPacket,
  MessagePacket,
  Order,
  Packet,
  Publication,
  Scope,
} from "./backplane/contract/broker.ts";
export type {
  Appended,
  HistoryEntry,
  HistoryPage,
  HistoryPolicy,
  HistoryStore,
  LogName,
} from "./backplane/contract/history-store.ts";
export type {
  Arrival,
  AsUserChange,
  Grace,
  PresenceEntry,
  PresenceStore,
  PresenceWatcher,
  Reservation,
  Transition,
  UserLimit,
  UserPresence,
} from "./backplane/contract/presence-store.ts";
export type { Claim, ReceiptStore } from "./backplane/contract/receipt-store.ts";
export type {
  DeadLetter,
  DeadPage,
  TaskConsumer,
  TaskCounts,
  TaskDelivery,
  TaskObserver,
  TaskStore,
  TaskTerms,
} from "./backplane/contract/task-store.ts";
export { memoryBackplane } from "./backplane/memory/memory-backplane.ts";
export type {
  AnyConnection,
  Authorize,
  CloseInfo,
  Connection,
  ConnectionState,
  Delivery,
  IncomingMessage,
  UserConnection,
} from "./connection/connection.ts";
export type { WsSocket } from "./connection/ws-socket.ts";
export type {
  History,
  HistoryMessage,
  Reading,
  ReadOptions,
  ReadResult,
} from "./durable/history.ts";
export type { Logger } from "./events/logger.ts";
export type { Presence, WatchOptions } from "./presence/tracker.ts";
export type { PresenceChange } from "./presence/watch.ts";
export { CloseCode } from "./protocol/close-codes.ts";
export { loadConfig, type WebSocketConfig } from "./protocol/config.ts";
export { EncodedMessage } from "./protocol/encoded-message.ts";
export {
  AuthenticationError,
  BackplaneUnavailableError,
  ConfigurationError,
  ConnectionClosedError,
  ConnectionFailedError,
  MessageRefusedError,
  MessageTooLargeError,
  QueueFullError,
  WebSocketError,
  type WebSocketErrorOptions,
} from "./protocol/errors.ts";
export type { Message, Payload } from "./protocol/payload.ts";
export { EVERYONE, type Link } from "./protocol/roomcast-v1.ts";
export type { SchemaOutput, StandardSchema } from "./protocol/standard-schema.ts";
export type { Except } from "./rooms/exclusion.ts";
export type {
  BroadcastOptions,
  HistoryOptions,
  RoomOptions,
  RoomPolicies,
} from "./rooms/policy.ts";
export { ConnectionManager } from "./server/connection-manager.ts";
export type { FailureContext, ManagerEvents, ManagerStatus } from "./server/events.ts";
export type { Limits } from "./server/limits.ts";
export type {
  CloseOptions,
  ConnectionManagerOptions,
  ConnectOptions,
  DurableSendOptions,
  Health,
  SendOptions,
  Target,
  Topic,
} from "./server/options.ts";
export type { Disconnected } from "./server/orders/disconnected.ts";
export type { StopOptions } from "./server/shutdown.ts";
export type { ProcessOptions, TaskQueueOptions } from "./tasks/queue-options.ts";
export type { TaskCounters, TaskEvent, TaskQueueEvents } from "./tasks/task-events.ts";
export {
  type DeadTask,
  type TaskContext,
  type TaskHandler,
  TaskQueue,
  type TaskQueueStats,
} from "./tasks/task-queue.ts";
export type { Around, HandlerCall } from "./upgrade/around.ts";
export type { UpgradeServer } from "./upgrade/attach.ts";
export type {
  Answer,
  Context,
  Handler,
  HandlerFunction,
  HandlerObject,
} from "./upgrade/handler.ts";
export type { RouteOptions } from "./upgrade/route-options.ts";
export type { Params } from "./upgrade/route-path.ts";
export { WebSocketRouter, type WebSocketRouterOptions } from "./upgrade/router.ts";
