import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

async function bench(...args: string[]): Promise<{ code: number | null; text: string }> {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const child = spawn(process.execPath, [main, "bench", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  await once(child, "close");
  return { code: child.exitCode, text: output.text };
}

const LITTLE = [
  "--connections",
  "20",
  "--rooms",
  "4",
  "--duration",
  "1",
  "--ramp",
  "0.1",
  "--rate",
  "100",
];

test("every message reaches every member of its room, and how long it took is told", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const { code, text } = await bench(`${server.wsUrl}/ws`, ...LITTLE, "--json");
  expect(code).toBe(0);
  const result = JSON.parse(text);
  // Five members in each room.
  expect(result).toMatchObject({
    connected: 20,
    sent: 100,
    expected: 500,
    delivered: 500,
    faults: {},
  });
  expect(result.latency.count).toBe(500);
  expect(result.latency.p50).toBeGreaterThan(0);
  expect(result.latency.p50).toBeLessThanOrEqual(result.latency.p99);
  const shown = await bench(`${server.wsUrl}/ws`, ...LITTLE);
  expect(shown.text).toMatch(/^20 of 20 connections, in 4 rooms; handshakes p50 /);
  expect(shown.text).toMatch(/100 messages of 100 bytes, 500 deliveries \(500\/s\), none missing/);
  expect(shown.text).toMatch(/≤ \d+ ms █/);
});

test("what a server refuses is told, and ends with 1", async () => {
  const server = await startServe({ env: { ROOMCAST_RATE_LIMIT: "1" } });
  onDispose(server.dispose);
  const limited = await bench(
    `${server.wsUrl}/ws`,
    ...LITTLE,
    "--connections",
    "2",
    "--rooms",
    "1",
  );
  expect(limited.code).toBe(1);
  expect(limited.text).toMatch(/\d+ MISSING/);
  expect(limited.text).toMatch(/times: (rate_limited|closed with 4429)/);
  const strict = await startServe({ env: { JWT_SECRET: "a secret of at least thirty-two bytes" } });
  onDispose(strict.dispose);
  const refused = await bench(`${strict.wsUrl}/ws`, ...LITTLE);
  expect(refused.code).toBe(1);
  expect(refused.text).toMatch(/20 times: .*401/);
});

test("says what is wrong with what it was told", async () => {
  expect((await bench("http://localhost")).text).toMatch(/begins with ws:/);
  expect((await bench("ws://localhost:1", "--rate", "0")).text).toMatch(
    /--rate is "0", but must be a whole number from 1 to 1000000/,
  );
});
