import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readImports } from "./support/imports.ts";
import { repositoryRoot } from "./support/repository.ts";

/** What each entry of the package exports; types are marked, since they leave no trace at run time. */
const EXPORTS: Record<string, string[]> = {
  ".": [
    "AuthenticationError",
    "BackplaneUnavailableError",
    "CloseCode",
    "ConfigurationError",
    "ConnectionClosedError",
    "ConnectionFailedError",
    "ConnectionManager",
    "EVERYONE",
    "EncodedMessage",
    "MessageRefusedError",
    "MessageTooLargeError",
    "QueueFullError",
    "TaskQueue",
    "WebSocketError",
    "WebSocketRouter",
    "loadConfig",
    "memoryBackplane",
    "type Answer",
    "type AnswerPacket",
    "type AnyConnection",
    "type Appended",
    "type Around",
    "type Arrival",
    "type AsUserChange",
    "type Attachment",
    "type AuthenticationContext",
    "type Authenticator",
    "type Authorize",
    "type Backplane",
    "type BroadcastOptions",
    "type Broker",
    "type BrokerStatus",
    "type Channel",
    "type Claim",
    "type CloseInfo",
    "type CloseOptions",
    "type ConnectOptions",
    "type Connection",
    "type ConnectionManagerOptions",
    "type ConnectionState",
    "type Context",
    "type DeadLetter",
    "type DeadPage",
    "type DeadTask",
    "type Delivery",
    "type DisconnectPacket",
    "type Disconnected",
    "type DurableSendOptions",
    "type Except",
    "type Exclusion",
    "type FailureContext",
    "type Grace",
    "type Handler",
    "type HandlerCall",
    "type HandlerFunction",
    "type HandlerObject",
    "type Health",
    "type History",
    "type HistoryEntry",
    "type HistoryMessage",
    "type HistoryOptions",
    "type HistoryPage",
    "type HistoryPolicy",
    "type HistoryStore",
    "type IncomingMessage",
    "type Instance",
    "type Limits",
    "type Link",
    "type LogName",
    "type Logger",
    "type ManagerEvents",
    "type ManagerStatus",
    "type MembershipPacket",
    "type Message",
    "type MessagePacket",
    "type Order",
    "type Packet",
    "type Params",
    "type Payload",
    "type Presence",
    "type PresenceChange",
    "type PresenceEntry",
    "type PresenceStore",
    "type PresenceWatcher",
    "type Principal",
    "type ProcessOptions",
    "type Publication",
    "type ReadOptions",
    "type ReadResult",
    "type Reading",
    "type ReceiptStore",
    "type Reservation",
    "type RoomOptions",
    "type RoomPolicies",
    "type RouteOptions",
    "type SchemaOutput",
    "type Scope",
    "type SendOptions",
    "type StandardSchema",
    "type StopOptions",
    "type Target",
    "type TaskConsumer",
    "type TaskContext",
    "type TaskCounters",
    "type TaskCounts",
    "type TaskDelivery",
    "type TaskEvent",
    "type TaskHandler",
    "type TaskObserver",
    "type TaskQueueEvents",
    "type TaskQueueOptions",
    "type TaskQueueStats",
    "type TaskStore",
    "type TaskTerms",
    "type Topic",
    "type Transition",
    "type UpgradeServer",
    "type UserConnection",
    "type UserLimit",
    "type UserPresence",
    "type WatchOptions",
    "type WebSocketConfig",
    "type WebSocketErrorOptions",
    "type WebSocketRouterOptions",
    "type WsSocket",
  ],
  "./auth": [
    "apiKeyAuthenticator",
    "extractToken",
    "hasAnyScope",
    "hasScopes",
    "isPerson",
    "jwtAuthenticator",
    "redactUrl",
    "type ApiKeyAuthenticatorOptions",
    "type ApiKeyHolder",
    "type ApiKeyLookup",
    "type AuthenticationContext",
    "type Authenticator",
    "type ExtractedToken",
    "type JwtAlgorithm",
    "type JwtAuthenticatorOptions",
    "type Principal",
    "type PublicKey",
    "type RemoteKeySetOptions",
    "type Secret",
    "type TokenSource",
    "type TrustedKeyOptions",
  ],
  "./client": [
    "AuthenticationError",
    "ConnectionClosedError",
    "ConnectionFailedError",
    "MessageTooLargeError",
    "WebSocketClient",
    "WebSocketError",
    "connect",
    "type BaseClient",
    "type ClientConfig",
    "type ClientEvents",
    "type ClientState",
    "type CloseEvent",
    "type MessageInfo",
    "type ReceivedMessage",
    "type ReconnectingEvent",
    "type SchemaOutput",
    "type StandardSchema",
    "type Token",
    "type WaitOptions",
    "type WebSocketClientOptions",
    "type WebSocketErrorOptions",
  ],
  "./fastify": ["default", "roomcast", "type RoomcastDecorator", "type RoomcastPluginOptions"],
  "./metrics": [
    "prometheusMetrics",
    "type CountedQueue",
    "type MetricsRegistry",
    "type PrometheusOptions",
  ],
  "./react": ["type Room", "type RoomOptions", "type Roomcast", "useRoom", "useRoomcast"],
  "./redis": ["redisBackplane", "type RedisBackplaneOptions"],
  "./testing": [
    "backplaneContract",
    "Seeded",
    "SimulationError",
    "simulatePresence",
    "type ContractCase",
    "type FaultyBackplane",
    "type PresenceSimulationOptions",
    "type SimulatedService",
    "VirtualClock",
  ],
};

interface Entry {
  types: string;
  /** Where Node.js has a build of its own. */
  node?: string;
  default: string;
}

const manifest: { exports: Record<string, Entry | string> } = JSON.parse(
  readFileSync(join(repositoryRoot, "package.json"), "utf8"),
);

const entries = Object.entries(manifest.exports).flatMap(([name, entry]) =>
  typeof entry === "string" ? [] : [{ name, entry }],
);

/** The names in a module's `export { … }` lists, sorted, types as `type Name`. */
function listedExports(declarations: string): string[] {
  const lists = declarations.matchAll(/export\s+(type\s+)?\{([^}]*)\}/g);
  return Array.from(lists, ([, type, names = ""]) =>
    names
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean)
      .map((name) => (type && !name.startsWith("type ") ? `type ${name}` : name)),
  )
    .flat()
    .map((name) => name.replace(/\S+ as /, ""))
    .sort();
}

test("the package has the entries listed here", () => {
  expect(entries.map(({ name }) => name).sort()).toEqual(Object.keys(EXPORTS).sort());
});

test.each(entries)(
  "$name exports the names listed here, and says so in its types",
  async ({ name, entry }) => {
    const declarations = readFileSync(join(repositoryRoot, entry.types), "utf8");
    expect(declarations).not.toMatch(/export\s+\*/);
    expect(listedExports(declarations)).toEqual([...(EXPORTS[name] ?? [])].sort());

    for (const file of [entry.default, entry.node ?? entry.default]) {
      const values = Object.keys(await import(join(repositoryRoot, file)));
      expect(values.sort()).toEqual(
        (EXPORTS[name] ?? []).filter((exported) => !exported.startsWith("type ")).sort(),
      );
    }
  },
);

test("the client of browsers, and its build in one file, import nothing of Node.js", async () => {
  const imported = [...readImports(repositoryRoot)];
  const reached = new Set(["src/client.browser.ts"]);
  for (const file of reached) {
    const [, targets = []] = imported.find(([name]) => name === file) ?? [];
    for (const { target, typeOnly } of targets) if (!typeOnly) reached.add(target);
    expect(readFileSync(join(repositoryRoot, file), "utf8")).not.toMatch(/from "(?!\.)/);
  }
  expect(reached.size).toBeGreaterThan(10);
  const bundle = join(repositoryRoot, "dist/roomcast-client.js");
  expect(readFileSync(bundle, "utf8")).not.toMatch(/\bimport\b|\brequire\b/);
  expect(Object.keys(await import(bundle))).toContain("WebSocketClient");
});
