import { expect, test } from "vitest";
import { Cluster, percentiles } from "../../src/cli/cluster-view.ts";
import type { InstanceReport } from "../../src/cli/instance-report.ts";

const BOUNDS = [0.001, 0.01, 0.1];

/** A report of an instance that has done `received` messages in `uptimeMs`. */
function report(
  instance: string,
  uptimeMs: number,
  more: Partial<InstanceReport> = {},
): InstanceReport {
  return {
    type: "instance",
    instance,
    host: "host",
    pid: 1,
    uptimeMs,
    status: "healthy",
    backplane: "connected",
    connections: 10,
    users: 5,
    rooms: 2,
    received: 0,
    delivered: 0,
    bytesSent: 0,
    bytesLaidOut: 0,
    bytesWaiting: 0,
    residentBytes: 1e8,
    cpuMs: 0,
    loopDelayMs: { p50: 0, p99: 1, max: 2 },
    fanOut: { bounds: BOUNDS, counts: [0, 0, 0, 0] },
    publish: { bounds: BOUNDS, counts: [0, 0, 0, 0] },
    counts: {
      accepted: 10,
      slowReaders: 0,
      rateLimited: 0,
      recovered: 0,
      lost: 0,
      gaps: 0,
      closed: {},
      refused: {},
      errors: {},
    },
    hottestRooms: [],
    busiestUsers: [],
    slowestReaders: [],
    ...more,
  };
}

test("what instances count becomes what the cluster does in a second", () => {
  const cluster = new Cluster();
  cluster.hear(report("a", 1000, { received: 100, delivered: 1000, cpuMs: 100 }), 0);
  cluster.hear(report("b", 5000, { received: 7 }), 0);
  cluster.hear(report("a", 3000, { received: 140, delivered: 5000, cpuMs: 1100 }), 2000);
  cluster.hear(report("b", 7000, { received: 9 }), 2000);
  cluster.tick(2000);
  expect(cluster.points.at(-1)).toMatchObject({
    connections: 20,
    received: 21,
    delivered: 2000,
    cpuPercent: 50,
    fanOutP99: null,
  });
});

test("latencies are of what was added since the report before, over all instances", () => {
  const spread = (...counts: number[]) => ({ bounds: BOUNDS, counts });
  expect(percentiles([[spread(90, 9, 0, 1), spread(40, 0, 0, 1)]])).toEqual([1, 10]);
  expect(
    percentiles([
      [spread(0, 0, 3, 0), spread(0, 0, 0, 0)],
      [spread(0, 1, 0, 0), spread(0, 0, 0, 0)],
    ]),
  ).toEqual([100, 100]);
  expect(percentiles([[spread(5, 5, 5, 5), undefined]])).toEqual([null, null]);
  // Above all bounds there is no better answer than the last of them.
  expect(percentiles([[spread(0, 0, 0, 2), spread(0, 0, 0, 0)]])).toEqual([100, 100]);
});

test("an instance that does not answer is missing, and later left out", () => {
  const cluster = new Cluster();
  cluster.hear(report("a", 1000), 0);
  cluster.hear(report("b", 1000), 0);
  cluster.hear(report("b", 5000), 4000);
  const [a, b] = cluster.instances(4000);
  expect([a?.isMissing, a?.silentMs, b?.isMissing]).toEqual([true, 4000, false]);
  cluster.tick(4000);
  expect(cluster.points.at(-1)?.connections).toBe(10);
  cluster.hear(report("b", 122_000), 121_000);
  cluster.tick(121_000);
  expect(cluster.instances(121_000).map(({ report: { instance } }) => instance)).toEqual(["b"]);
});

test("troubles are those of the last five minutes; an instance that starts anew counts from 0", () => {
  const cluster = new Cluster();
  const { counts } = report("a", 0);
  const after = (closed: number, gaps: number) => ({
    counts: { ...counts, gaps, closed: { 1006: closed }, errors: { message: closed } },
  });
  cluster.hear(report("a", 1000, after(5, 1)), 0);
  cluster.hear(report("a", 20_000, after(8, 1)), 19_000);
  expect(cluster.troubles()).toEqual({
    closed: { 1006: 3 },
    refused: {},
    errors: { message: 3 },
    others: {},
  });
  cluster.hear(report("a", 400_000, after(9, 2)), 399_000);
  expect(cluster.troubles()).toMatchObject({ closed: {}, others: {} });
  cluster.hear(report("a", 500, after(1, 0)), 400_000);
  cluster.hear(report("a", 1500, after(3, 0)), 401_000);
  expect(cluster.troubles().closed).toEqual({ 1006: 2 });
});

test("a page that is open for a day keeps five minutes", () => {
  const cluster = new Cluster();
  for (let second = 0; second < 86_400; second += 1) {
    if (second % 10 === 0) cluster.hear(report("a", second * 1000), second * 1000);
    cluster.tick(second * 1000);
  }
  expect(cluster.points).toHaveLength(300);
});

test("rankings of instances are one", () => {
  const cluster = new Cluster();
  const hot = (name: string, count: number) => ({ name, count, error: 0 });
  const slow = (connection: string, bytes: number) => ({ connection, user: null, bytes });
  cluster.hear(report("a", 1, { hottestRooms: [hot("x", 5)], slowestReaders: [slow("1", 5)] }), 0);
  cluster.hear(
    report("b", 1, { hottestRooms: [hot("y", 7), hot("x", 4)], slowestReaders: [slow("2", 9)] }),
    0,
  );
  expect(cluster.hottestRooms()).toEqual([hot("x", 9), hot("y", 7)]);
  expect(cluster.slowestReaders().map(({ connection }) => connection)).toEqual(["2", "1"]);
});
