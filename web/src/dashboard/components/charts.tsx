import type { JSX } from "preact";
import type { AlignedData } from "uplot";
import type { Point } from "../../../../src/cli/cluster-view.ts";
import { bytes, count, milliseconds, percent } from "../../../../src/cli/figures.ts";
import { Chart, type Line } from "./chart.tsx";

const OPEN: readonly Line[] = [{ name: "open", colour: "accent" }];
const ERRORS: readonly Line[] = [{ name: "a second", colour: "ember" }];
const P99: readonly Line[] = [{ name: "p99", colour: "accent" }];
const KEPT: readonly Line[] = [{ name: "kept", colour: "accent" }];
const BUSIEST: readonly Line[] = [{ name: "busiest instance", colour: "accent" }];
const BYTES: readonly Line[] = [
  { name: "sent/s", colour: "accent" },
  { name: "laid out/s", colour: "ember" },
];
const FLOW: readonly Line[] = [
  { name: "deliveries/s", colour: "accent" },
  { name: "messages in/s", colour: "ember" },
];
const LATENCY: readonly Line[] = [
  { name: "p50", colour: "accent" },
  { name: "p99", colour: "ember" },
];

/** What the cluster did in the last five minutes. */
export function Charts({ points }: { points: readonly Point[] }): JSX.Element {
  const data = (...of: readonly ((point: Point) => number | null)[]): AlignedData => [
    points.map(({ at }) => at),
    ...of.map((value) => points.map(value)),
  ];
  return (
    <section class="charts" aria-label="The last five minutes">
      <Chart title="Connections" lines={OPEN} format={count} data={data((p) => p.connections)} />
      <Chart
        title="Messages"
        lines={FLOW}
        format={count}
        data={data(
          (p) => p.delivered,
          (p) => p.received,
        )}
      />
      <Chart
        title="Fan-out"
        lines={LATENCY}
        format={milliseconds}
        data={data(
          (p) => p.fanOutP50,
          (p) => p.fanOutP99,
        )}
      />
      <Chart
        title="Publish by way of Redis"
        lines={LATENCY}
        format={milliseconds}
        data={data(
          (p) => p.publishP50,
          (p) => p.publishP99,
        )}
      />
      <Chart
        title="Event loop delay"
        lines={P99}
        format={milliseconds}
        data={data((p) => p.loopDelayP99)}
      />
      <Chart
        title="Waiting for readers"
        lines={KEPT}
        format={bytes}
        data={data((p) => p.bytesWaiting)}
      />
      <Chart
        title="Bytes"
        lines={BYTES}
        format={bytes}
        data={data(
          (p) => p.bytesSent,
          (p) => p.bytesLaidOut,
        )}
      />
      <Chart
        title="CPU of a core"
        lines={BUSIEST}
        format={percent}
        data={data((p) => p.cpuPercent)}
      />
      <Chart title="Errors" lines={ERRORS} format={count} data={data((p) => p.errors)} />
    </section>
  );
}
