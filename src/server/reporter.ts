import type { Transition } from "../backplane/contract/presence-store.ts";
import type { CloseInfo } from "../connection/connection.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { Listeners } from "../events/listeners.ts";
import type { Log } from "../events/log.ts";
import type { Counters } from "../meters/counters.ts";
import type { ManagerEvents, ManagerStatus } from "./events.ts";
import { Failures } from "./failures.ts";

/** Tells listeners and the log what happens on an instance. */
export class Reporter {
  readonly events: Listeners<ManagerEvents>;
  readonly #log: Log;
  readonly #failures: Failures;

  constructor(log: Log, counters: Counters) {
    this.#log = log;
    this.events = new Listeners((error, event) => this.#failures.listenerFailed(error, event));
    this.#failures = new Failures(this.events, log, counters);
  }

  connected(connection: ServerConnection): void {
    const { id, userId: user, remoteAddress: address } = connection;
    if (this.#log.isOn) this.#log.debug({ connection: id, user, address }, "connected");
    this.events.emit("connect", connection);
  }

  disconnected(connection: ServerConnection, info: CloseInfo): void {
    const { id, userId: user } = connection;
    if (this.#log.isOn) this.#log.debug({ connection: id, user, ...info }, "disconnected");
    this.events.emit("disconnect", connection, info);
  }

  changed({ type, user, room }: Transition): void {
    if (type === "online" || type === "offline") this.events.emit(type, { user });
    else if (room !== undefined) this.events.emit(type, { user, room });
  }

  statusChanged(status: ManagerStatus): void {
    this.events.emit("status", { status });
  }

  failed(error: unknown, stage: string, connection?: ServerConnection): void {
    const whose = connection && { connection: connection.id, user: connection.userId };
    this.#failures.report(error, { stage, ...whose });
  }
}
