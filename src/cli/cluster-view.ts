import { type Hitter, mergeHitters } from "../meters/heavy-hitters.ts";
import type { InstanceReport, SlowReader, Spread } from "./instance-report.ts";

/** An instance that said nothing for so long is missing, in milliseconds. */
const MISSING_AFTER_MS = 3500;
/** One that has been missing for so long is left out. */
const FORGOTTEN_AFTER_MS = 120_000;
/** How much the charts show, in seconds. */
const CHART_POINTS = 300;
/** How far back troubles are counted, and how often they are noted. */
const TROUBLES_MS = 300_000;
const NOTED_EVERY_MS = 10_000;
const MOST_NAMED = 10;

/** What an instance did in a second. */
export interface Rates {
  readonly accepted: number;
  readonly received: number;
  readonly delivered: number;
  readonly bytesSent: number;
  readonly bytesLaidOut: number;
  readonly cpuPercent: number;
}

export interface InstanceView {
  readonly report: InstanceReport;
  readonly rates: Rates;
  readonly isMissing: boolean;
  /** How long ago it was heard, in milliseconds. */
  readonly silentMs: number;
}

/** One second of the whole cluster; null where nobody measured. */
export interface Point {
  /** Seconds since 1970. */
  readonly at: number;
  readonly connections: number;
  readonly received: number;
  readonly delivered: number;
  readonly fanOutP50: number | null;
  readonly fanOutP99: number | null;
  readonly publishP50: number | null;
  readonly publishP99: number | null;
  readonly loopDelayP99: number;
  readonly bytesWaiting: number;
  readonly errors: number;
  readonly bytesSent: number;
  readonly bytesLaidOut: number;
  /** Of one core, the busiest instance. */
  readonly cpuPercent: number;
}

/** How often something happened lately, by what it is called. */
export type Counts = Readonly<Record<string, number>>;

export interface Troubles {
  readonly closed: Counts;
  readonly refused: Counts;
  readonly errors: Counts;
  readonly others: Counts;
}

interface Heard {
  report: InstanceReport;
  before: InstanceReport | null;
  at: number;
  /** Reports of the last minutes, a few of them: what has been counted since the first is recent. */
  readonly noted: { readonly at: number; readonly counts: InstanceReport["counts"] }[];
}

/**
 * The cluster as its instances tell of it. Memory is bounded: so many seconds of points, a few reports for each instance, and no
 * instance that has long been gone. Times are arguments, in milliseconds since 1970.
 */
export class Cluster {
  readonly #heard: Map<string, Heard> = new Map();
  readonly #points: Point[] = [];

  hear(report: InstanceReport, now: number): void {
    const known = this.#heard.get(report.instance);
    // One that was started anew counts from 0 again.
    if (known === undefined || report.uptimeMs < known.report.uptimeMs) {
      const noted = [{ at: now, counts: report.counts }];
      this.#heard.set(report.instance, { report, before: null, at: now, noted });
      return;
    }
    known.before = known.report;
    known.report = report;
    known.at = now;
    const last = known.noted.at(-1);
    if (last === undefined || now - last.at >= NOTED_EVERY_MS) {
      known.noted.push({ at: now, counts: report.counts });
    }
    while ((known.noted[1]?.at ?? now) <= now - TROUBLES_MS) known.noted.shift();
  }

  /** A second has passed: adds a point to the charts. */
  tick(now: number): void {
    for (const [instance, { at }] of this.#heard) {
      if (now - at > FORGOTTEN_AFTER_MS) this.#heard.delete(instance);
    }
    const present = this.instances(now).filter(({ isMissing }) => !isMissing);
    const heard = present.flatMap(({ report }) => this.#heard.get(report.instance) ?? []);
    const sum = (of: (view: InstanceView) => number): number =>
      present.reduce((total, view) => total + of(view), 0);
    const [fanOutP50, fanOutP99] = percentiles(
      heard.map(({ report, before }) => [report.fanOut, before?.fanOut]),
    );
    const [publishP50, publishP99] = percentiles(
      heard.map(({ report, before }) => [report.publish, before?.publish]),
    );
    this.#points.push({
      at: Math.round(now / 1000),
      connections: sum(({ report }) => report.connections),
      received: sum(({ rates }) => rates.received),
      delivered: sum(({ rates }) => rates.delivered),
      fanOutP50,
      fanOutP99,
      publishP50,
      publishP99,
      loopDelayP99: Math.max(0, ...present.map(({ report }) => report.loopDelayMs.p99)),
      bytesWaiting: sum(({ report }) => report.bytesWaiting),
      bytesSent: sum(({ rates }) => rates.bytesSent),
      bytesLaidOut: sum(({ rates }) => rates.bytesLaidOut),
      cpuPercent: Math.max(0, ...present.map(({ rates }) => rates.cpuPercent)),
      errors: heard.reduce((total, { report, before }) => total + errorsSince(report, before), 0),
    });
    if (this.#points.length > CHART_POINTS) this.#points.shift();
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  instances(now: number): InstanceView[] {
    return [...this.#heard.values()]
      .map(({ report, before, at }) => ({
        report,
        rates: ratesOf(report, before),
        isMissing: now - at > MISSING_AFTER_MS,
        silentMs: now - at,
      }))
      .sort((a, b) => a.report.instance.localeCompare(b.report.instance));
  }

  hottestRooms(): Hitter[] {
    return mergeHitters(
      this.#reports().map(({ hottestRooms }) => hottestRooms),
      MOST_NAMED,
    );
  }

  busiestUsers(): Hitter[] {
    return mergeHitters(
      this.#reports().map(({ busiestUsers }) => busiestUsers),
      MOST_NAMED,
    );
  }

  slowestReaders(): SlowReader[] {
    const all = this.#reports().flatMap(({ slowestReaders }) => slowestReaders);
    return all.sort((a, b) => b.bytes - a.bytes).slice(0, MOST_NAMED);
  }

  /** What went wrong in the last minutes. */
  troubles(): Troubles {
    const [closed, refused, errors, others] = [{}, {}, {}, {}].map(() => new Map<string, number>());
    for (const { report, noted } of this.#heard.values()) {
      const now = report.counts;
      const then = noted[0]?.counts ?? now;
      add(closed, now.closed, then.closed);
      add(refused, now.refused, then.refused);
      add(errors, now.errors, then.errors);
      add(others, plain(now), plain(then));
    }
    return {
      closed: known(closed),
      refused: known(refused),
      errors: known(errors),
      others: known(others),
    };
  }

  #reports(): InstanceReport[] {
    return [...this.#heard.values()].map(({ report }) => report);
  }
}

function ratesOf(report: InstanceReport, before: InstanceReport | null): Rates {
  const seconds = (report.uptimeMs - (before?.uptimeMs ?? report.uptimeMs)) / 1000;
  const rate = (now: number, then = now): number => (seconds > 0 ? (now - then) / seconds : 0);
  return {
    accepted: rate(report.counts.accepted, before?.counts.accepted),
    received: rate(report.received, before?.received),
    delivered: rate(report.delivered, before?.delivered),
    bytesSent: rate(report.bytesSent, before?.bytesSent),
    bytesLaidOut: rate(report.bytesLaidOut, before?.bytesLaidOut),
    cpuPercent: rate(report.cpuMs, before?.cpuMs) / 10,
  };
}

function errorsSince({ counts }: InstanceReport, before: InstanceReport | null): number {
  const total = (errors: Counts): number => Object.values(errors).reduce((sum, n) => sum + n, 0);
  return before === null ? 0 : total(counts.errors) - total(before.counts.errors);
}

/** The middle and the last hundredth of what was added since, of all together, in milliseconds; null: nothing was. */
export function percentiles(
  spreads: readonly (readonly [now: Spread, then: Spread | undefined])[],
): [p50: number | null, p99: number | null] {
  const bounds = spreads[0]?.[0].bounds ?? [];
  const counts = new Array<number>(bounds.length + 1).fill(0);
  for (const [now, then] of spreads) {
    if (then === undefined) continue;
    for (const [range, count] of now.counts.entries()) {
      counts[range] = (counts[range] ?? 0) + count - (then.counts[range] ?? 0);
    }
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return [null, null];
  const at = (share: number): number => {
    let below = 0;
    const range = counts.findIndex((count) => {
      below += count;
      return below >= share * total;
    });
    return (bounds[range] ?? bounds.at(-1) ?? 0) * 1000;
  };
  return [at(0.5), at(0.99)];
}

function plain({ slowReaders, rateLimited, lost, gaps }: InstanceReport["counts"]): Counts {
  return {
    "slow readers given up": slowReaders,
    "messages over the rate": rateLimited,
    "resumes with something missing": lost,
    "gaps told to members": gaps,
  };
}

function add(sums: Map<string, number> | undefined, now: Counts, then: Counts): void {
  for (const [name, count] of Object.entries(now)) {
    const more = count - (then[name] ?? 0);
    if (more > 0) sums?.set(name, (sums.get(name) ?? 0) + more);
  }
}

function known(sums: Map<string, number> | undefined): Counts {
  return Object.fromEntries([...(sums ?? [])].sort(([, a], [, b]) => b - a));
}
