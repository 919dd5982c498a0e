import type { JSX } from "preact";
import type { InstanceView, Point } from "../../../../src/cli/cluster-view.ts";
import { bytes, count, milliseconds } from "../../../../src/cli/figures.ts";
import { Mark } from "../../chat/components/icon.tsx";
import type { Link } from "../use-cluster.ts";

type Health = "good" | "bad" | "unknown";

/** How the cluster is, in a sentence and six figures. */
export function Summary({
  instances,
  points,
  link,
}: {
  instances: readonly InstanceView[];
  points: readonly Point[];
  link: Link;
}): JSX.Element {
  const now = points.at(-1);
  const [health, sentence] = judge(instances, link);
  return (
    <header class="summary">
      <div class="summary-title">
        <Mark />
        <h1>Roomcast</h1>
        <p class={`verdict verdict-${health}`} role="status">
          {sentence}
        </p>
      </div>
      <dl class="figures">
        <Figure name="Connections" value={count(now?.connections ?? 0)} />
        <Figure name="Messages in" value={`${count(now?.received ?? 0)}/s`} />
        <Figure name="Deliveries" value={`${count(now?.delivered ?? 0)}/s`} />
        <Figure name="Fan-out, p99" value={milliseconds(now?.fanOutP99 ?? null)} />
        <Figure name="Event loop, p99" value={milliseconds(now?.loopDelayP99 ?? null)} />
        <Figure name="Waiting for readers" value={bytes(now?.bytesWaiting ?? 0)} />
      </dl>
    </header>
  );
}

function Figure({ name, value }: { name: string; value: string }): JSX.Element {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function judge(instances: readonly InstanceView[], link: Link): [Health, string] {
  if (link === "connecting") return ["unknown", "Connecting…"];
  if (link === "lost") return ["bad", "No connection to the server; what you see is old."];
  const missing = instances.filter(({ isMissing }) => isMissing).length;
  const away = instances.filter(({ report }) => report.backplane === "away").length;
  const draining = instances.filter(({ report }) => report.status === "draining").length;
  const many = (n: number): string => (n === 1 ? "1 instance" : `${n} instances`);
  if (away > 0) {
    return [
      "bad",
      `${many(away)} cannot reach Redis. Others may be missing from this page until it is back.`,
    ];
  }
  if (missing > 0) return ["bad", `${many(missing)} did not answer for some seconds.`];
  if (draining > 0) return ["unknown", `${many(draining)} draining.`];
  return instances.length === 0
    ? ["unknown", "Waiting for the first report…"]
    : ["good", `All is well on ${many(instances.length)}.`];
}
