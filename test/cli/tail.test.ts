import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { WebSocketServer } from "ws";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

function roomcast(...args: string[]) {
  const child = spawn(process.execPath, [join(repositoryRoot, "dist/cli/main.js"), ...args], {
    env: { ...process.env, WS_RECONNECT_BACKOFF_BASE: "0.1", WS_RECONNECT_MAX_ATTEMPTS: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  return { child, output: new ProcessOutput(child) };
}

/** Runs to the end; the exit code and what was printed. */
async function runToEnd(...args: string[]): Promise<[number | null, string]> {
  const { child, output } = roomcast(...args);
  await once(child, "close");
  return [child.exitCode, output.text];
}

const say = (text: string) => JSON.stringify({ type: "room_message", room: "lobby", data: text });
const JOIN = JSON.stringify({ type: "join", room: "lobby" });

test("tail prints a room's history and then what is new, also after the server was killed", async () => {
  const port = await freePort();
  const start = async () => {
    const server = await startServe({ env: { PORT: String(port) } });
    onDispose(server.dispose);
    return server;
  };
  const server = await start();
  const url = (user: string) => `${server.wsUrl}/ws?user=${user}`;
  expect(await runToEnd("send", url("ann"), JOIN, say("before"), "--ack")).toEqual([
    0,
    // That it was handled; whom it reached is told to nobody.
    "null\nnull\n",
  ]);
  const { child, output } = roomcast("tail", url("tail"), "--room", "lobby");
  await output.match(/"data":"before"/);
  expect((await runToEnd("send", url("bob"), JOIN, say("live"), "--ack"))[0]).toBe(0);
  await output.match(/"data":"live"/);
  await server.dispose();
  await output.match(/Lost: 1006/);
  await start();
  // The history was in memory, and is gone with it.
  await output.match(/Messages of lobby are missing here/);
  expect((await runToEnd("send", url("cat"), JOIN, say("after"), "--ack"))[0]).toBe(0);
  await output.match(/"data":"after"/);
  await end(child, "SIGTERM");
  expect(child.exitCode).toBe(0);
  expect(output.text).toContain("Closed.");
});

test("tail says hello to a server without rooms, and prints its answers", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const ping = JSON.stringify({ type: "ping" });
  const { output } = roomcast("tail", `${server.wsUrl}/ws?user=tail`, "--send", ping);
  await output.match(/^\{"type":"pong"\}$/m);
});

test("tail ends without a fault when nobody reads any more, as with head", async () => {
  const server = await startSocketServer((socket) => {
    const timer = setInterval(() => socket.send("a line"), 5);
    socket.on("close", () => clearInterval(timer));
  });
  onDispose(server.dispose);
  const main = join(repositoryRoot, "dist/cli/main.js");
  const tail = `"${process.execPath}" "${main}" tail ${server.url}`;
  const child = spawn("bash", ["-c", `${tail} | head -1; exit \${PIPESTATUS[0]}`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  await once(child, "close");
  expect([child.exitCode, output.text.split("\n").sort()]).toEqual([
    0,
    ["", "Closed.", "Connected.", "a line"],
  ]);
});

test("tail with a reader that does not read holds up the server, and stays small", async () => {
  const total = 300_000_000;
  const line = "x".repeat(100_000);
  let socket: WebSocket | undefined;
  const server = await startSocketServer((connected) => {
    socket = connected;
    for (let sent = 0; sent < total; sent += line.length) connected.send(line);
  });
  onDispose(server.dispose);
  const { child } = roomcast("tail", server.url);
  child.stdout.pause();
  // Until nothing moves any more.
  let before = -1;
  await expect
    .poll(
      () => {
        const left = socket?.bufferedAmount ?? -1;
        const isStill = left > 0 && left === before;
        before = left;
        return isStill;
      },
      { interval: 500, timeout: 30_000 },
    )
    .toBe(true);
  expect(before).toBeGreaterThan(total / 2);
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const residentKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  expect(residentKb).toBeLessThan(200_000);
});

test("what is wrong is said in a sentence", async () => {
  const dead = `ws://127.0.0.1:${await freePort()}`;
  for (const [args, sentence] of [
    [["tail"], "needs an address"],
    [["tail", "http://localhost"], "needs an address"],
    [["tail", dead, dead], "one address"],
    [["tail", dead], "could not be made"],
    [["send", dead], "needs a message"],
    [["send", dead, "x"], "could not be made"],
    [["send", dead, "x", "--header", "nonsense"], "--header"],
  ] as const) {
    const [code, text] = await runToEnd(...args);
    expect([code, text.trim().split("\n").length, text]).toEqual([
      1,
      1,
      expect.stringContaining(sentence),
    ]);
  }
  expect((await runToEnd("tail", "--help"))[1]).toContain("--room");
});

test("tail prints what a terminal would obey as text, from messages and from reasons", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onDispose(() => server.close());
  await once(server, "listening");
  server.on("connection", (socket) => {
    socket.send("\u001b[2Jone\nline\u009b1m \u202eé");
    socket.close(4500, "\u001b]0;title\u0007");
  });
  const { port } = server.address() as AddressInfo;
  const { child, output } = roomcast("tail", `ws://127.0.0.1:${port}`);
  await once(child, "close");
  expect(output.text).toContain("\\u001b[2Jone\\u000aline\\u009b1m \\u202eé\n");
  const obeyed = ["\u001b", "\u0007", "\u009b", "\u202e"];
  expect(obeyed.filter((one) => output.text.includes(one))).toEqual([]);
});
