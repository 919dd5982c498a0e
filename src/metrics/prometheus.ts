import type { Histogram } from "../meters/histogram.ts";
import { LoopDelay } from "../meters/loop-delay.ts";
import { checkOptions } from "../protocol/check-options.ts";
import type { ConnectionManager } from "../server/connection-manager.ts";
import type { TaskQueueStats } from "../tasks/task-queue.ts";
import { type Labels, READINGS, type Reading } from "./readings.ts";

/** What is registered with a registry: what `prom-client` reads of a metric of its own. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  get(): Promise<{
    name: string;
    help: string;
    type: string;
    aggregator: string;
    values: Sample[];
  }>;
  reset(): void;
}

interface Sample {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

/** Where metrics are registered; a `Registry` of `prom-client` fits. */
export interface MetricsRegistry {
  registerMetric(metric: object): void;
  removeSingleMetric(name: string): void;
}

/** A `TaskQueue`. */
export interface CountedQueue {
  readonly name: string;
  stats(): Promise<TaskQueueStats>;
}

export interface PrometheusOptions {
  /** A module with the API of `prom-client` 15: `import client from "prom-client"`. */
  readonly client: { readonly register: MetricsRegistry };
  /** Where to register, if not in the module's global registry. */
  readonly register?: MetricsRegistry;
  /** Task queues to count too. Each scrape asks the backplane once for each. */
  readonly queues?: readonly CountedQueue[];
}

const PREFIX = "websocket_";

/** What one manager has to tell. */
interface Source {
  readonly manager: ConnectionManager;
  readonly queues: readonly CountedQueue[];
}

/** A registry has each name once, however many managers there are in the process. */
const sourcesOf: WeakMap<MetricsRegistry, Set<Source>> = new WeakMap();

/**
 * Registers what a manager counts: the names are in `docs/metrics.md`, each value has the label `instance`. Counting goes
 * on whether or not anybody reads; reading happens at a scrape, and takes nothing from messages. Several managers
 * may share a registry. Returns the function that takes the manager out again.
 *
 * @throws TypeError if an option is wrong, or another metric of the registry has one of the names.
 */
export function prometheusMetrics(
  manager: ConnectionManager,
  options: PrometheusOptions,
): () => void {
  checkOptions("prometheusMetrics", options, ["client", "register", "queues"]);
  const registry = options.register ?? options.client?.register;
  if (typeof registry?.registerMetric !== "function") {
    throw new TypeError(
      "client must be a module with the API of prom-client, or register a registry of it.",
    );
  }
  const source: Source = { manager, queues: options.queues ?? [] };
  const sources = sourcesOf.get(registry) ?? register(registry);
  sources.add(source);
  return () => void sources.delete(source);
}

function register(registry: MetricsRegistry): Set<Source> {
  const sources: Set<Source> = new Set();
  for (const metric of [
    ...READINGS.map((reading) => metricOf(reading, sources)),
    taskMetric(sources),
    delayMetric(new LoopDelay()),
  ]) {
    registry.registerMetric(metric);
  }
  sourcesOf.set(registry, sources);
  return sources;
}

function metricOf(reading: Reading, sources: ReadonlySet<Source>): Metric {
  const name = PREFIX + reading.name;
  return makeMetric(name, reading.help, reading.type, () =>
    [...sources].flatMap(({ manager }) => {
      const instance = manager.instanceId;
      if (reading.type === "histogram") {
        return reading
          .read(manager)
          .flatMap(({ labels, histogram }) => samplesOf(name, { instance, ...labels }, histogram));
      }
      return reading
        .read(manager)
        .map(({ labels, value }) => ({ labels: { instance, ...labels }, value }));
    }),
  );
}

/** A queue that cannot be asked says nothing: that the backplane is away is another metric's. */
function taskMetric(sources: ReadonlySet<Source>): Metric {
  return makeMetric(`${PREFIX}tasks`, "Tasks of a queue, by state.", "gauge", async () => {
    const asked = [...sources].flatMap(({ manager: { instanceId: instance }, queues }) =>
      queues.map(async (queue) => {
        const { waiting, inWork, dead } = await queue.stats();
        return Object.entries({ waiting, in_work: inWork, dead }).map(([state, value]) => ({
          labels: { instance, queue: queue.name, state },
          value,
        }));
      }),
    );
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  });
}

/** How late the event loop was since it was last asked. */
function delayMetric(delay: LoopDelay): Metric {
  const help = "How late the event loop of the process was since the last scrape.";
  const read = (): Sample[] =>
    Object.entries(delay.take()).map(([percentile, milliseconds]) => ({
      labels: { percentile },
      value: milliseconds / 1000,
    }));
  // Of several processes the one that is latest.
  return makeMetric(`${PREFIX}event_loop_delay_seconds`, help, "gauge", read, "max");
}

function makeMetric(
  name: string,
  help: string,
  type: string,
  read: () => Sample[] | Promise<Sample[]>,
  aggregator = "sum",
): Metric {
  return {
    name,
    help,
    type,
    aggregator,
    // What OpenMetrics calls a metric may differ, and is set from outside.
    async get() {
      return { name: this.name, help, type, aggregator, values: await read() };
    },
    // Counts are the manager's; a registry that is reset does not take them back.
    reset() {},
  };
}

/** The series of a histogram as Prometheus has them: each range counts all below it too. */
function samplesOf(name: string, labels: Labels, { bounds, counts, sum }: Histogram): Sample[] {
  let below = 0;
  const buckets = counts.map((count, range) => {
    below += count;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: bounds[range] ?? "+Inf" },
      value: below,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: below },
  ];
}
