export {
  type CountedQueue,
  type MetricsRegistry,
  type PrometheusOptions,
  prometheusMetrics,
} from "./metrics/prometheus.ts";
