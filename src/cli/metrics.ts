import cluster, { type Worker } from "node:cluster";
import client, { AggregatorRegistry, collectDefaultMetrics, Registry } from "prom-client";
import { prometheusMetrics } from "../metrics/prometheus.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";

/** What a worker asks its first process, and what that answers. */
interface Question {
  readonly ask: "metrics";
  readonly id: number;
}

interface Answer {
  readonly metrics: string | null;
  readonly id: number;
}

export const METRICS_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * What `/metrics` says: of this manager and its process, or, for one of several workers, of all of them, since Prometheus
 * cannot choose which one it reaches.
 */
export function metricsOf(manager: ConnectionManager): () => Promise<string> {
  const register = new Registry();
  prometheusMetrics(manager, { client, register });
  collectDefaultMetrics({ register });
  if (!cluster.isWorker) return () => register.metrics();
  AggregatorRegistry.setRegistries([register]);
  // Its listener is what answers the first process.
  new AggregatorRegistry();
  return askFirstProcess();
}

/** In the first process: answers workers with the metrics of all of them. */
export function answerWorkers(): void {
  const all = new AggregatorRegistry();
  cluster.on("message", (worker: Worker, message: unknown) => {
    if (!isQuestion(message)) return;
    const { id } = message;
    const tell = (metrics: string | null): void => {
      if (worker.isConnected()) worker.send({ id, metrics } satisfies Answer);
    };
    all.clusterMetrics().then(tell, () => tell(null));
  });
}

function askFirstProcess(): () => Promise<string> {
  const waiting: Map<number, (answer: Answer) => void> = new Map();
  let last = 0;
  process.on("message", (message: unknown) => {
    if (isAnswer(message)) waiting.get(message.id)?.(message);
  });
  return async () => {
    const id = ++last;
    const { metrics } = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      process.send?.({ ask: "metrics", id } satisfies Question);
    });
    waiting.delete(id);
    if (metrics === null) throw new Error("Not every worker told its metrics in time.");
    return metrics;
  };
}

function isQuestion(message: unknown): message is Question {
  return typeof message === "object" && message !== null && "ask" in message;
}

function isAnswer(message: unknown): message is Answer {
  return typeof message === "object" && message !== null && "metrics" in message && "id" in message;
}
