import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { startNginx } from "../support/proxies.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function doctor(...args: string[]): Promise<{ code: number | null; text: string }> {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const child = spawn(process.execPath, [main, "doctor", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  await once(child, "close");
  return { code: child.exitCode, text: output.text };
}

/** What was found, by subject. */
async function examine(
  ...args: string[]
): Promise<{ code: number | null; by: Map<string, Finding> }> {
  const { code, text } = await doctor(...args, "--json");
  const findings: Finding[] = JSON.parse(text);
  return { code, by: new Map(findings.map((finding) => [finding.subject, finding])) };
}

test("a Redis that will do is well in every respect, and its password is not told", async () => {
  const redis = await startRedisServer({ config: ["requirepass secret", "appendonly yes"] });
  onDispose(redis.dispose);
  const { code, by } = await examine("--redis", redis.url.replace("//", "//:secret@"));
  expect(code).toBe(0);
  const subjects = [
    "Redis",
    "latency",
    "clocks",
    "version",
    "eviction",
    "persistence",
    "scripts",
    "pub/sub",
    "output buffers",
  ];
  for (const subject of subjects)
    expect([subject, by.get(subject)?.grade]).toEqual([subject, "well"]);
  expect(JSON.stringify([...by.values()])).not.toContain("secret");
  const { text } = await doctor("--redis", redis.url.replace("//", "//:secret@"));
  expect(text).toMatch(/^✓ version: 7\./m);
});

test("what is wrong with a Redis is told, with what to change", async () => {
  const redis = await startRedisServer({
    config: ["maxmemory 100mb", "maxmemory-policy allkeys-lru"],
  });
  onDispose(redis.dispose);
  const { code, by } = await examine("--redis", redis.url);
  expect(code).toBe(0);
  expect(by.get("eviction")).toMatchObject({
    grade: "warning",
    advice: expect.stringContaining("noeviction"),
  });
  expect(by.get("persistence")?.grade).toBe("warning");
  const admin = createClient({ url: redis.url });
  await admin.connect();
  await admin.sendCommand([
    "ACL",
    "SETUSER",
    "app",
    "on",
    ">word",
    "~*",
    "&*",
    "+@all",
    "-@pubsub",
    "-@scripting",
  ]);
  admin.destroy();
  const denied = await examine("--redis", redis.url.replace("//", "//app:word@"));
  expect(denied.code).toBe(1);
  for (const subject of ["scripts", "pub/sub"]) {
    expect(denied.by.get(subject)).toMatchObject({
      grade: "fault",
      found: expect.stringContaining("NOPERM"),
      advice: expect.stringContaining("+@pubsub +@scripting"),
    });
  }
});

test("a Redis that is not there is a fault", async () => {
  const { code, by } = await examine("--redis", `redis://127.0.0.1:${await freePort()}`);
  expect(code).toBe(1);
  expect(by.get("Redis")).toMatchObject({
    grade: "fault",
    found: expect.stringContaining("ECONNREFUSED"),
  });
});

test("a server is tried through what is before it: a proxy that passes no upgrade, one that ends quiet connections", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const direct = await examine(`${server.wsUrl}/ws`, "--idle", "0.2");
  expect(direct.code).toBe(0);
  for (const subject of ["health", "upgrade", "round trip", "idle"]) {
    expect([subject, direct.by.get(subject)?.grade]).toEqual([subject, "well"]);
  }
  // Its own defaults: HTTP/1.0 and no Upgrade.
  const plain = await startNginx(
    `server { listen PORT; location / { proxy_pass ${server.url}; proxy_set_header Host localhost; } }`,
  );
  onDispose(plain.dispose);
  const stopped = await examine(`ws://127.0.0.1:${plain.port}/ws`);
  expect(stopped.code).toBe(1);
  expect(stopped.by.get("upgrade")).toMatchObject({
    grade: "fault",
    advice: expect.stringContaining("proxy_set_header Upgrade"),
  });
  const hasty = await startNginx(
    `server { listen PORT; location / { proxy_pass ${server.url}; proxy_http_version 1.1; proxy_read_timeout 1s;
       proxy_set_header Host localhost; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; } }`,
  );
  onDispose(hasty.dispose);
  const ended = await examine(`ws://127.0.0.1:${hasty.port}/ws`, "--idle", "5");
  expect(ended.by.get("upgrade")?.grade).toBe("well");
  expect(ended.by.get("idle")).toMatchObject({
    grade: "fault",
    advice: expect.stringContaining("proxy_read_timeout"),
  });
});

test("a server that asks for a credential, and one that is not there, are told apart", async () => {
  const server = await startServe({ env: { JWT_SECRET: "a secret of at least thirty-two bytes" } });
  onDispose(server.dispose);
  const refused = await examine(`${server.wsUrl}/ws`);
  expect(refused.by.get("upgrade")).toMatchObject({
    grade: "fault",
    advice: expect.stringContaining("--token"),
  });
  const nobody = await examine(`ws://127.0.0.1:${await freePort()}/ws`);
  expect(nobody.by.get("health")).toMatchObject({
    grade: "fault",
    found: expect.stringContaining("ECONNREFUSED"),
  });
  expect((await doctor("example.org")).text).toMatch(/takes the address of one server/);
});
