import type { Hitter } from "../meters/heavy-hitters.ts";
import type { Cluster, InstanceView } from "./cluster-view.ts";
import { age, bytes, count, milliseconds, percent } from "./figures.ts";
import { printable } from "./printable.ts";

/** By what instances can be sorted, and the key that does it. */
export const SORTS = {
  name: "n",
  connections: "c",
  deliveries: "d",
  cpu: "p",
  memory: "m",
} as const;
export type Sort = keyof typeof SORTS;

const WEIGHTS: Record<Exclude<Sort, "name">, (view: InstanceView) => number> = {
  connections: ({ report }) => report.connections,
  deliveries: ({ rates }) => rates.delivered,
  cpu: ({ rates }) => rates.cpuPercent,
  memory: ({ report }) => report.residentBytes,
};
const HEADINGS =
  "INSTANCE,STATE,REDIS,CONNS,USERS,ROOMS,IN/S,DELIV/S,CPU,MEMORY,WAITING,LOOP P99,UP".split(",");
/** Columns of text; the others are figures and stand to the right. */
const TEXTS = 3;
const BOLD = "\u001b[1m";
const RED = "\u001b[31m";
const PLAIN = "\u001b[0m";

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly colour: boolean;
  readonly sort: Sort;
}

/** The cluster as lines that fit a terminal. */
export function drawTop(cluster: Cluster, title: string, now: number, screen: Screen): string[] {
  const instances = sorted(cluster.instances(now), screen.sort);
  const point = cluster.points.at(-1);
  const paint = (code: string, text: string): string =>
    screen.colour ? code + text + PLAIN : text;
  const fit = (line: string): string => printable(line).slice(0, screen.columns);
  const table = align([HEADINGS, ...instances.map(rowOf)]);
  const lines = [
    paint(BOLD, fit(title)),
    fit(
      `${count(point?.connections ?? 0)} connections, ${count(point?.received ?? 0)} messages in/s, ` +
        `${count(point?.delivered ?? 0)} deliveries/s, fan-out p99 ${milliseconds(point?.fanOutP99 ?? null)}, ` +
        `publish p99 ${milliseconds(point?.publishP99 ?? null)}`,
    ),
    "",
    paint(BOLD, fit(table[0] ?? "")),
    ...instances.map((view, index) => {
      const line = fit(table[index + 1] ?? "");
      return isWell(view) ? line : paint(RED, line);
    }),
    "",
    ...rankings(cluster).map(fit),
  ];
  return lines.slice(0, Math.max(1, screen.rows - 1));
}

/** The cluster as one look of `--json` tells it. */
export function lookAt(cluster: Cluster, now: number): object {
  return {
    now: cluster.points.at(-1) ?? null,
    instances: cluster
      .instances(now)
      .map(({ report, rates, isMissing }) => ({ ...report, rates, isMissing })),
    hottestRooms: cluster.hottestRooms(),
    busiestUsers: cluster.busiestUsers(),
    slowestReaders: cluster.slowestReaders(),
    troubles: cluster.troubles(),
  };
}

function sorted(instances: InstanceView[], sort: Sort): InstanceView[] {
  if (sort === "name") return instances;
  const weight = WEIGHTS[sort];
  return instances.sort((a, b) => weight(b) - weight(a));
}

function isWell({ report, isMissing }: InstanceView): boolean {
  return !isMissing && report.status === "healthy";
}

function rowOf({ report, rates, isMissing, silentMs }: InstanceView): string[] {
  return [
    report.instance,
    isMissing ? `silent ${age(silentMs)}` : report.status,
    report.backplane,
    count(report.connections),
    count(report.users),
    count(report.rooms),
    count(rates.received),
    count(rates.delivered),
    percent(rates.cpuPercent),
    bytes(report.residentBytes),
    bytes(report.bytesWaiting),
    milliseconds(report.loopDelayMs.p99),
    age(report.uptimeMs),
  ];
}

/** The three lists beside each other. */
function rankings(cluster: Cluster): string[] {
  const named = ({ name, count: weight }: Hitter): [string, string] => [name, count(weight)];
  const lists: readonly [string, string, readonly (readonly [string, string])[]][] = [
    ["HOTTEST ROOMS", "DELIVERIES", cluster.hottestRooms().map(named)],
    ["BUSIEST USERS", "MESSAGES", cluster.busiestUsers().map(named)],
    [
      "SLOWEST READERS",
      "WAITING",
      cluster.slowestReaders().map(({ connection, user, bytes: waiting }) => {
        return [user ?? connection, bytes(waiting)] as const;
      }),
    ],
  ];
  const length = Math.max(...lists.map(([, , rows]) => rows.length));
  const columns = lists.map(([title, unit, rows]) => {
    const line = (name: string, weight: string): string =>
      `${printable(name).slice(0, 22).padEnd(22)} ${weight.padStart(10)}`;
    return [
      line(title, unit),
      ...Array.from({ length }, (_, i) => line(rows[i]?.[0] ?? "", rows[i]?.[1] ?? "")),
    ];
  });
  return Array.from({ length: length + 1 }, (_, row) =>
    columns.map((column) => column[row]).join("   "),
  );
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column < TEXTS ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  "),
  );
}
