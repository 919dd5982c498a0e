export type { Backplane } from "./backplane/backplane.ts";
export { memoryBackplane } from "./backplane/memory/memory-backplane.ts";
export { CloseCode } from "./protocol/close-codes.ts";
export { loadConfig, type WebSocketConfig } from "./protocol/config.ts";
export { ConnectionManager } from "./server/connection-manager.ts";
