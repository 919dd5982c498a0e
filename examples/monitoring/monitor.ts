import type { ConnectionManager, Topic } from "roomcast";

export const METRICS = "performance:metrics";
export const ALERTS = "performance:alerts";

export interface Metrics {
  readonly worker: string;
  readonly connections: number;
  readonly memoryMb: number;
  readonly eventLoopMs: number;
}

export interface Alert {
  readonly level: "info" | "warning" | "critical";
  readonly text: string;
}

/**
 * Publishes what one process has measured to everyone who watches, on whatever worker they are connected. The
 * process itself needs no connections.
 */
export class Monitor {
  readonly #metrics: Topic;
  readonly #alerts: Topic;

  constructor(manager: Pick<ConnectionManager, "topic">) {
    this.#metrics = manager.topic(METRICS);
    this.#alerts = manager.topic(ALERTS);
  }

  async publishMetrics(metrics: Metrics): Promise<void> {
    await this.#metrics.publish({ type: "metrics", ...metrics });
  }

  async publishAlert(alert: Alert): Promise<void> {
    await this.#alerts.publish({ type: "alert", ...alert });
  }

  /** The name it had when a worker reached only its own connections. */
  sendMetrics(metrics: Metrics): Promise<void> {
    return this.publishMetrics(metrics);
  }

  /** The name it had when a worker reached only its own connections. */
  sendAlert(alert: Alert): Promise<void> {
    return this.publishAlert(alert);
  }
}
