import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();
const main = join(repositoryRoot, "dist/cli/main.js");

function runTop(...args: string[]) {
  const child = spawn(process.execPath, [main, "top", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  return { child, output: new ProcessOutput(child) };
}

async function look(...args: string[]): Promise<Record<string, unknown>> {
  const { child, output } = runTop(...args, "--json");
  await once(child, "close");
  expect(child.exitCode).toBe(0);
  return JSON.parse(output.text);
}

test("--json is one look at all instances, asked of any", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const env = { REDIS_URL: redis.url, ROOMCAST_API_KEY: "an-operators-key" };
  const servers = [await startServe({ env }), await startServe({ env })];
  for (const server of servers) onDispose(server.dispose);
  const seen = await look(servers[0]?.url ?? "", "--key", "an-operators-key");
  expect(seen).toMatchObject({
    now: { connections: 0 },
    instances: [{ backplane: "connected" }, { status: "healthy", isMissing: false }],
    hottestRooms: [],
    troubles: { errors: {} },
  });
});

test("shows a screen each second until it is told to stop; hostile names are no commands to the terminal", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const name = "al\u001b[31mice";
  const client = await Client.connect(`${server.wsUrl}/ws?user=${encodeURIComponent("bob")}`);
  onDispose(() => client.socket.terminate());
  const say = (message: object): void => client.socket.send(JSON.stringify(message));
  say({ type: "join", room: "hall" });
  for (let i = 0; i < 5; i++) say({ type: "room_message", room: "hall", data: name });
  const { child, output } = runTop(server.url, "--sort", "deliveries");
  await output.match(/INSTANCE +STATE +REDIS/);
  await output.match(/hall +\d+ +bob +6/);
  const closed = once(child, "close");
  child.kill("SIGINT");
  await closed;
  expect(child.exitCode).toBe(0);
  expect(output.text).not.toContain("\u001b");
});

test("says what is wrong with what it was told", async () => {
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [main, "top", ...args], {
      encoding: "utf8",
    });
    return `${status} ${stderr}`;
  };
  expect(run()).toMatch(/^1 roomcast: roomcast top needs the address of one server/);
  expect(run("ftp://x")).toMatch(/^1 roomcast: roomcast top needs the address/);
  expect(run("http://127.0.0.1:1", "--sort", "luck")).toMatch(
    /--sort is "luck", but must be one of name/,
  );
  expect(run("http://127.0.0.1:1")).toMatch(/^1 .*give it with --key/);
});
