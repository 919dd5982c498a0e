import type { FastifyInstance } from "fastify";
import { checkOptions } from "../protocol/check-options.ts";
import { ConnectionManager } from "../server/connection-manager.ts";
import { type ConnectionManagerOptions, MANAGER_OPTIONS } from "../server/options.ts";
import type { StopOptions } from "../server/shutdown.ts";
import { ROUTER_OPTIONS, WebSocketRouter, type WebSocketRouterOptions } from "./router.ts";

/** Options of the plugin: those of the manager and of the router, side by side. */
export interface RoomcastPluginOptions extends ConnectionManagerOptions, WebSocketRouterOptions {
  /** A manager of your own instead of a new one; the options of the manager do not apply then. */
  readonly manager?: ConnectionManager;
  /** How connections end when the application closes. */
  readonly stop?: StopOptions;
}

/** What the application is decorated with, as `app.roomcast`. */
export interface RoomcastDecorator {
  readonly manager: ConnectionManager;
  readonly router: WebSocketRouter;
}

declare module "fastify" {
  interface FastifyInstance {
    readonly roomcast: RoomcastDecorator;
  }
}

/** Ours, and those that Fastify has for every plugin. */
const PLUGIN_OPTIONS = [
  ...MANAGER_OPTIONS,
  ...ROUTER_OPTIONS,
  "manager",
  "stop",
  "logLevel",
  "logSerializers",
] as const;

/**
 * The Fastify 5 plugin: `await app.register(roomcast, options)`, and `app.roomcast` has the manager,
 * started, and the router, attached to the application's server. Logs go to the application's logger.
 * When the application closes, clients are told and disconnected first (`preClose`).
 */
export async function roomcast(
  app: FastifyInstance,
  options: RoomcastPluginOptions,
): Promise<void> {
  checkOptions("roomcast/fastify", options, PLUGIN_OPTIONS);
  const given = MANAGER_OPTIONS.filter((name) => options[name] !== undefined);
  if (options.manager !== undefined && given.length > 0) {
    throw new TypeError(
      `${given.join(", ")} must be given to the manager itself, since there is one of your own.`,
    );
  }
  const logger = options.logger ?? app.log;
  const { manager = new ConnectionManager({ ...pick(options, MANAGER_OPTIONS), logger }) } =
    options;
  const router = new WebSocketRouter(manager, pick(options, ROUTER_OPTIONS));
  app.decorate("roomcast", { manager, router });
  app.addHook("preClose", () => manager.stop(options.stop));
  router.attach(app.server);
  await manager.start();
}

/** Fastify hands its own options over together with ours. */
function pick<T extends object, K extends keyof T>(options: T, names: readonly K[]): Pick<T, K> {
  const picked = Object.entries(options).filter(([name]) => names.some((one) => one === name));
  return Object.fromEntries(picked) as Pick<T, K>;
}

// What Fastify's own plugins say by `fastify-plugin`: the decorator is for the whole application.
Object.assign(roomcast, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "roomcast",
  [Symbol.for("plugin-meta")]: { name: "roomcast", fastify: "5.x" },
});
