import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import client, { Registry } from "prom-client";
import { expect, test } from "vitest";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { TaskQueue } from "../../src/index.ts";
import { prometheusMetrics } from "../../src/metrics.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { startPrometheus } from "../support/prometheus.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();
const folder = join(repositoryRoot, "deploy/prometheus");

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(requireTool(tools.promtool), args, {
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

/** Names of metrics of ours in PromQL. */
function namesIn(text: string): string[] {
  return [...new Set(text.match(/websocket_\w+/g))];
}

/** Every series a manager has once it has seen a little of everything. */
async function scrapeAll(): Promise<string> {
  const server = await startManager();
  onDispose(server.dispose);
  await expect(Client.connect(server.url)).rejects.toThrow("401");
  const ended = new Promise((resolve) => server.manager.on("disconnect", resolve));
  const { client: gone } = await server.connect("alice");
  gone.socket.close();
  await ended;
  server.manager.on("connect", () => {
    throw new Error("for a stage");
  });
  server.manager.on("error", () => {});
  await server.connect("bob");
  const queue = new TaskQueue();
  onDispose(() => queue.close());
  const register = new Registry();
  prometheusMetrics(server.manager, { client, register, queues: [queue] });
  return register.metrics();
}

test("the alert rules are well-formed", () => {
  const { status, output } = promtool("check", "rules", join(folder, "alerts.yml"));
  expect(output).toMatch(/SUCCESS: 12 rules found/);
  expect(status).toBe(0);
});

test("each alert fires under the fault it is for, and none while all is well", () => {
  const file = join(repositoryRoot, "test/deploy/alerts.test.yml");
  const { status, output } = promtool("test", "rules", file);
  expect(output).toMatch(/SUCCESS/);
  expect(status).toBe(0);
  const rules = readFileSync(join(folder, "alerts.yml"), "utf8");
  const cases = readFileSync(file, "utf8");
  for (const [, alert = ""] of rules.matchAll(/alert: (\w+)/g)) {
    expect(cases.split(`alertname: ${alert}\n`).length, `${alert} is seen firing`).toBe(2);
  }
});

test("what /metrics says is well-formed, and of the names that alerts and dashboard ask for", async () => {
  const scraped = await scrapeAll();
  const check = spawnSync(requireTool(tools.promtool), ["check", "metrics"], {
    input: scraped,
    encoding: "utf8",
  });
  expect(check.stderr + check.stdout).toBe("");
  const asked = [
    ...namesIn(readFileSync(join(folder, "alerts.yml"), "utf8")),
    ...namesIn(readFileSync(join(repositoryRoot, "deploy/grafana/roomcast.json"), "utf8")),
  ];
  expect(asked.length).toBeGreaterThan(20);
  const series = new Set(scraped.split("\n").map((line) => line.split(/[{ ]/)[0]));
  expect(asked.filter((name) => !series.has(name))).toEqual([]);
});

test("every expression of the dashboard is one that Prometheus understands", () => {
  const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(
    readFileSync(join(repositoryRoot, "deploy/grafana/roomcast.json"), "utf8"),
  );
  const expressions = dashboard.panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr),
  );
  expect(expressions.length).toBeGreaterThan(15);
  // promtool has no check of its own for an expression; a rule of it is checked.
  const dir = mkdtempSync(join(tmpdir(), "roomcast-rules-"));
  onDispose(() => rmSync(dir, { recursive: true }));
  const rules = expressions.map((expr, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m"),
  }));
  const file = join(dir, "rules.json");
  writeFileSync(file, JSON.stringify({ groups: [{ name: "panels", rules }] }));
  const { status, output } = promtool("check", "rules", file);
  expect(output).toContain(`SUCCESS: ${expressions.length} rules found`);
  expect(status).toBe(0);
});

test("a real Prometheus scrapes a server, and its alerts fire when Redis goes and end when it is back", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const server = await startServe({
    env: { REDIS_URL: redis.url, ROOMCAST_API_KEY: "an-operators-key" },
  });
  onDispose(server.dispose);
  const prometheus = await startPrometheus({
    target: `127.0.0.1:${server.port}`,
    apiKey: "an-operators-key",
    rules: readFileSync(join(folder, "alerts.yml"), "utf8"),
  });
  onDispose(prometheus.dispose);
  while ((await prometheus.query("websocket_backplane_connected"))[0] !== 1) await wait(100);
  expect(await prometheus.query("websocket_ready")).toEqual([1]);
  expect(await prometheus.alerts()).toEqual([]);
  redis.stop();
  while (!(await prometheus.alerts()).includes("RoomcastBackplaneLost")) await wait(100);
  redis.cont();
  while ((await prometheus.alerts()).length > 0) await wait(100);
  expect(await prometheus.query("websocket_backplane_connected")).toEqual([1]);
});
