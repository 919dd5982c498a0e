import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { accepted, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServers } from "./server.ts";

const onDispose = useDisposals();
const CLIENT = join(repositoryRoot, "dist/client.js");

/** Runs a script of a user; resolves to what it printed, when it has ended by itself. */
async function run(script: string): Promise<string> {
  const source = `import { WebSocketClient } from ${JSON.stringify(CLIENT)};\n${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => child.kill("SIGKILL"));
  const output = new ProcessOutput(child);
  const [code] = await once(child, "close");
  expect([code, output.text]).toEqual([0, output.text]);
  return output.text;
}

test("after close nothing keeps the process alive, whatever the client was doing", async () => {
  const servers = await startServers();
  onDispose(servers.dispose);
  const silent = await startBadServer((socket, key) => socket.write(accepted(key)));
  onDispose(silent.dispose);
  const mute = await startBadServer(() => {});
  onDispose(mute.dispose);
  const text = await run(`
    const open = new WebSocketClient("${servers.echoUrl}");
    await open.connect();
    await open.send("hello");
    console.log(await open.recv());
    const leaving = new WebSocketClient("${silent.url}", { config: { closeTimeoutMs: 100 } });
    await leaving.connect();
    const dialing = new WebSocketClient("${mute.url}");
    dialing.connect().catch(() => {});
    const hour = 3_600_000;
    const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
    const waiting = new WebSocketClient("${servers.url}?user=waiting", { config });
    await waiting.connect();
    await new Promise((resolve) => {
      waiting.on("reconnecting", resolve);
      waiting.send("close 4000");
    });
    const disposed = new WebSocketClient("${servers.echoUrl}");
    await disposed.connect();
    await disposed[Symbol.asyncDispose]();
    await Promise.all([open, leaving, dialing, waiting].map((client) => client.close()));
    console.log("closed");
  `);
  expect(text).toBe("hello\nclosed\n");
});

test("a process that stood still for longer than the ping timeout keeps a connection that is good", async () => {
  const servers = await startServers();
  onDispose(servers.dispose);
  const text = await run(`
    const config = { pingIntervalMs: 200, pingTimeoutMs: 400 };
    const client = new WebSocketClient("${servers.echoUrl}", { config });
    client.on("reconnecting", () => console.log("lost"));
    await client.connect();
    for (let i = 0; i < 3; i++) {
      // Pings are on their way; their answers come while nothing here runs.
      await new Promise((resolve) => setTimeout(resolve, 250));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    }
    await client.send("still there");
    console.log(await client.recv());
    await client.close();
  `);
  expect(text).toBe("still there\n");
});
