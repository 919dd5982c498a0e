import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { parse, parseDocument, visit } from "yaml";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { useDisposals } from "../support/disposals.ts";
import { startNginx } from "../support/proxies.ts";
import { repositoryRoot, trackedFiles } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

function read(file: string): string {
  return readFileSync(join(repositoryRoot, "deploy", file), "utf8");
}

/** What of a Kubernetes object is looked at here. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}

function manifest(file: string): Manifest {
  return parse(read(`kubernetes/${file}`));
}

/** The value at a path, whatever lies on the way. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (found, key) =>
      typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined,
    value,
  );
}

test("every variable that is set anywhere is one that Roomcast reads", () => {
  const source = trackedFiles()
    .filter((file) => /^src\/(cli|protocol)\//.test(file))
    .map((file) => readFileSync(join(repositoryRoot, file), "utf8"))
    .join("\n");
  const files = [
    "docker/Dockerfile",
    "docker/compose.yml",
    "kubernetes/deployment.yaml",
    "systemd/roomcast.service",
  ];
  const named = new Set(
    files.flatMap((file) => read(file).match(/\b(?:ROOMCAST|WS|JWT|JWKS|REDIS)_[A-Z_]+\b/g) ?? []),
  );
  expect(named.size).toBeGreaterThan(4);
  expect([...named].filter((name) => !source.includes(`"${name}"`))).toEqual([]);
});

test("paths that are asked for health answer 200, and metrics are where they are said to be", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const all = [
    ...readdirSync(join(repositoryRoot, "deploy/kubernetes")).map((file) => `kubernetes/${file}`),
    "docker/Dockerfile",
    "aws/load-balancer.yml",
    "haproxy/haproxy.cfg",
  ];
  const paths = new Set(
    all.flatMap((file) => read(file).match(/\/(?:health|metrics)[\w/]*/g) ?? []),
  );
  expect([...paths].sort()).toEqual(["/health/live", "/health/ready", "/metrics"]);
  for (const path of paths)
    expect([path, (await fetch(server.url + path)).status]).toEqual([path, 200]);
});

test("Kubernetes: everything stands for the same pods, and names that exist", () => {
  const { resources }: { resources: string[] } = parse(read("kubernetes/kustomization.yaml"));
  expect([...resources, "kustomization.yaml"].sort()).toEqual(
    readdirSync(join(repositoryRoot, "deploy/kubernetes")).sort(),
  );
  const deployment = manifest("deployment.yaml");
  const labels = at(deployment, "spec", "template", "metadata", "labels");
  const container = at(deployment, "spec", "template", "spec", "containers", 0);
  const ports = at(container, "ports");
  expect(at(deployment, "spec", "selector", "matchLabels")).toEqual(labels);
  expect(at(manifest("service.yaml"), "spec", "selector")).toEqual(labels);
  expect(at(manifest("disruption-budget.yaml"), "spec", "selector", "matchLabels")).toEqual(labels);
  expect(at(manifest("autoscaler.yaml"), "spec", "scaleTargetRef", "name")).toBe(
    deployment.metadata.name,
  );
  expect(ports).toEqual([{ name: "http", containerPort: 8000 }]);
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    expect(at(container, probe, "httpGet", "port")).toBe("http");
  }
  expect(at(manifest("service.yaml"), "spec", "ports", 0, "targetPort")).toBe("http");
  const backend = at(
    manifest("ingress.yaml"),
    "spec",
    "rules",
    0,
    "http",
    "paths",
    0,
    "backend",
    "service",
  );
  expect(backend).toEqual({ name: manifest("service.yaml").metadata.name, port: { name: "http" } });
  // The wait before a stop, and the stop, fit into what Kubernetes grants.
  expect(
    at(deployment, "spec", "template", "spec", "terminationGracePeriodSeconds"),
  ).toBeGreaterThan(30);
});

test("Compose: services that are waited for exist, and so do files that are mounted", () => {
  const { services, networks }: { services: Record<string, unknown>; networks: object } = parse(
    read("docker/compose.yml"),
  );
  expect(Object.keys(services).sort()).toEqual([
    "grafana",
    "nginx",
    "prometheus",
    "redis",
    "roomcast",
  ]);
  for (const service of Object.values(services)) {
    const waited = at(service, "depends_on") ?? [];
    for (const name of Array.isArray(waited) ? waited : Object.keys(waited))
      expect(services).toHaveProperty(name);
    for (const name of (at(service, "networks") ?? []) as string[])
      expect(networks).toHaveProperty(name);
    const mounted = ((at(service, "volumes") ?? []) as string[]).map(
      (volume) => volume.split(":")[0] ?? "",
    );
    // The key is the operator's.
    for (const path of mounted.filter((one) => one.startsWith(".") && !one.endsWith("api-key"))) {
      expect([path, existsSync(join(repositoryRoot, "deploy/docker", path))]).toEqual([path, true]);
    }
  }
  const copied = [...read("docker/Dockerfile").matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(
    ([, list = ""]) => list.split(" "),
  );
  for (const path of copied)
    expect([path, existsSync(join(repositoryRoot, path))]).toEqual([path, true]);
});

test.each(["prometheus/prometheus.yml", "docker/prometheus.yml"])("Prometheus takes %s", (file) => {
  const dir = mkdtempSync(join(tmpdir(), "roomcast-config-"));
  onDispose(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "prometheus.yml"), read(file));
  writeFileSync(join(dir, "alerts.yml"), read("prometheus/alerts.yml"));
  writeFileSync(join(dir, "api-key"), "key");
  const { status, stdout, stderr } = spawnSync(
    requireTool(tools.promtool),
    ["check", "config", join(dir, "prometheus.yml")],
    { encoding: "utf8" },
  );
  expect(stdout + stderr).toContain("SUCCESS");
  expect(status).toBe(0);
});

test("the NGINX of Compose lets WebSockets through to instances it looks up", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const text = read("docker/nginx.conf")
    .replace("listen 80;", "listen PORT;")
    .replace("http://roomcast:8000", `http://127.0.0.1:${server.port}`)
    .replace("resolver 127.0.0.11", "resolver 127.0.0.1");
  const proxy = await startNginx(text);
  onDispose(proxy.dispose);
  const socket = new WebSocket(`ws://localhost:${proxy.port}/ws?user=alice`, {
    origin: `http://localhost:${proxy.port}`,
  });
  onDispose(() => socket.terminate());
  await once(socket, "open");
});

test("CloudFormation: whatever is referred to exists, and health and port are those of the server", () => {
  const document = parseDocument(read("aws/load-balancer.yml"), { logLevel: "silent" });
  expect(document.errors).toEqual([]);
  const template: unknown = document.toJS();
  const known = [
    ...Object.keys(at(template, "Parameters") as object),
    ...Object.keys(at(template, "Resources") as object),
  ];
  const referred: string[] = [];
  visit(document, {
    Scalar(_key, { tag, value }) {
      if (tag === "!Ref" || tag === "!GetAtt") referred.push(String(value).split(".")[0] ?? "");
    },
  });
  expect(referred.length).toBeGreaterThan(8);
  expect(referred.filter((name) => !known.includes(name))).toEqual([]);
  const target = at(template, "Resources", "TargetGroup", "Properties");
  expect([at(target, "Port"), at(target, "HealthCheckPath")]).toEqual([8000, "/health/ready"]);
});

test("every file of deploy/ is named in the documentation of deployment", () => {
  const page = readFileSync(join(repositoryRoot, "docs/deployment.md"), "utf8");
  const folders = new Set(
    trackedFiles()
      .filter((file) => file.startsWith("deploy/"))
      .map(dirname),
  );
  expect(folders.size).toBeGreaterThan(6);
  expect([...folders].filter((folder) => !page.includes(folder))).toEqual([]);
});
