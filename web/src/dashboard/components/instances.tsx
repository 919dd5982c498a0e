import type { JSX } from "preact";
import type { InstanceView } from "../../../../src/cli/cluster-view.ts";
import { age, bytes, count, milliseconds, percent } from "../../../../src/cli/figures.ts";
import { Table } from "./table.tsx";

const COLUMNS = [
  "Instance",
  "Host",
  "State",
  "Redis",
  "#Connections",
  "#Users",
  "#Rooms",
  "#In/s",
  "#Deliveries/s",
  "#CPU",
  "#Memory",
  "#Loop p99",
  "#Up",
];
const REDIS = { memory: "not used", connected: "connected", away: "away" };

/** Every instance of the cluster, those that do not answer too. */
export function Instances({ instances }: { instances: readonly InstanceView[] }): JSX.Element {
  return (
    <Table
      title="Instances"
      columns={COLUMNS}
      nothing="No instance has reported yet."
      rows={instances.map(({ report, rates, isMissing, silentMs }) => ({
        key: report.instance,
        ...moodOf(report.status, isMissing),
        cells: [
          <code key="id">{report.instance}</code>,
          `${report.host}, pid ${report.pid}`,
          isMissing ? `no answer for ${age(silentMs)}` : report.status,
          REDIS[report.backplane],
          count(report.connections),
          count(report.users),
          count(report.rooms),
          count(rates.received),
          count(rates.delivered),
          percent(rates.cpuPercent),
          bytes(report.residentBytes),
          milliseconds(report.loopDelayMs.p99),
          age(report.uptimeMs),
        ],
      }))}
    />
  );
}

function moodOf(status: string, isMissing: boolean): { mood?: "bad" | "unknown" } {
  if (isMissing || status === "degraded") return { mood: "bad" };
  return status === "draining" ? { mood: "unknown" } : {};
}
