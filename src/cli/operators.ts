import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { ConnectionManager } from "../server/connection-manager.ts";
import { WebSocketRouter } from "../upgrade/router.ts";
import { backplaneFor } from "./backplane.ts";
import { InstanceReporter } from "./instance-report.ts";
import type { OperatorGuard } from "./operator-guard.ts";
import type { ServeOptions } from "./serve-options.ts";

/** Where operators' programs connect, the dashboard and `roomcast top` among them. */
export const OPERATORS_PATH = "/dashboard/ws";

const REPORT_EVERY_MS = 1000;
const ROOM = "instances";
const MAX_OPERATORS = 500;

/**
 * What operators see live: once a second each instance sends a report of itself to all operators in the cluster, through a
 * manager of its own, so that they count as nobody's connections. It shares the service that the instance uses, under
 * a prefix of its own; while that is away operators here see this instance alone.
 */
export class Operators {
  readonly #reporter: InstanceReporter;
  readonly #manager: ConnectionManager;
  readonly #router: WebSocketRouter;
  #timer: NodeJS.Timeout | null = null;

  private constructor(watched: ConnectionManager, own: ConnectionManager, guard: OperatorGuard) {
    this.#reporter = new InstanceReporter(watched);
    this.#manager = own;
    this.#router = new WebSocketRouter(own, {
      authenticate: (request) => identify(request, guard),
    });
    this.#router.protected(OPERATORS_PATH, {
      async open(connection) {
        await connection.join(ROOM);
      },
    });
  }

  static async start(
    watched: ConnectionManager,
    { config }: ServeOptions,
    guard: OperatorGuard,
  ): Promise<Operators> {
    const own = { ...config, channelPrefix: `${config.channelPrefix}operators:` };
    const manager = new ConnectionManager({
      backplane: await backplaneFor(own),
      config: own,
      instanceId: watched.instanceId,
      limits: { maxConnections: MAX_OPERATORS },
      offlineGraceMs: 0,
    });
    manager.on("error", (error, { stage }) => {
      // That the service is away the instance itself says.
      if (stage !== "backplane") watched.reportError(error, `operators:${stage}`);
    });
    const operators = new Operators(watched, manager, guard);
    await manager.start();
    operators.#timer = setInterval(() => operators.#report(), REPORT_EVERY_MS).unref();
    return operators;
  }

  serves(request: IncomingMessage): boolean {
    return this.#router.serves(request);
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#router.handleUpgrade(request, socket, head);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    // The last word: that it is draining.
    this.#report();
    this.#reporter.stop();
    await this.#manager.stop({ drainMs: 1000 });
  }

  #report(): void {
    void this.#manager.broadcastToRoom(ROOM, this.#reporter.report());
  }
}

/** Nobody has to say who they are: who may see this is an operator. */
function identify(request: IncomingMessage, guard: OperatorGuard) {
  try {
    guard.check(request);
    return { id: "operator", scopes: [], claims: {}, via: "operator" };
  } catch {
    return null;
  }
}
