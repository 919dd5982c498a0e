import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { freePort } from "./free-port.ts";
import { end, ProcessOutput } from "./process-output.ts";

export interface Prometheus {
  /** The values a query has now. */
  query(expression: string): Promise<number[]>;
  /** The names of the alerts that fire or are about to. */
  alerts(): Promise<string[]>;
  dispose(): Promise<void>;
}

export interface PrometheusOptions {
  /** Host and port. */
  readonly target: string;
  readonly apiKey: string;
  /** The text of a file of rules. */
  readonly rules: string;
}

/** Starts a real Prometheus on loopback that scrapes `target` five times a second. */
export async function startPrometheus({
  target,
  apiKey,
  rules,
}: PrometheusOptions): Promise<Prometheus> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "roomcast-prometheus-"));
  const config = {
    global: { scrape_interval: "200ms", scrape_timeout: "200ms", evaluation_interval: "200ms" },
    rule_files: ["rules.yml"],
    scrape_configs: [
      {
        job_name: "roomcast",
        honor_labels: true,
        authorization: { credentials: apiKey },
        static_configs: [{ targets: [target] }],
      },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(dir, "prometheus.yml"), JSON.stringify(config));
  writeFileSync(join(dir, "rules.yml"), rules);
  const child = spawn(
    requireTool(tools.prometheus),
    [
      `--config.file=${join(dir, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  await new ProcessOutput(child).match(/Server is ready to receive web requests/);
  const get = async (path: string): Promise<{ data: Answer }> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    if (!response.ok) throw new Error(`Prometheus answers ${response.status}.`);
    const answer: { data: Answer } = JSON.parse(await response.text());
    return answer;
  };
  return {
    async query(expression) {
      const { data } = await get(`query?query=${encodeURIComponent(expression)}`);
      return data.result.map(({ value }) => Number(value[1]));
    },
    async alerts() {
      const { data } = await get("alerts");
      return data.alerts.map(({ labels }) => labels.alertname);
    },
    async dispose() {
      await end(child, "SIGKILL");
      rmSync(dir, { recursive: true });
    },
  };
}

/** What the API of Prometheus answers, as far as it is read here. */
interface Answer {
  readonly result: readonly { readonly value: readonly [number, string] }[];
  readonly alerts: readonly { readonly labels: { readonly alertname: string } }[];
}
