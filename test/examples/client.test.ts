import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";
import { startServe } from "../support/serve.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();

function run(file: string, env: Record<string, string>) {
  const script = join(repositoryRoot, "examples/client", file);
  const child = spawn(process.execPath, ["--import", "tsx", script], {
    cwd: repositoryRoot,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  return { child, output: new ProcessOutput(child) };
}

test.each(["follow.ts", "each.ts"])("the page about the client shows %s as it runs", (file) => {
  const page = readFileSync(join(repositoryRoot, "docs/client.md"), "utf8");
  const source = readFileSync(join(repositoryRoot, "examples/client", file), "utf8");
  expect(page).toContain(`\`\`\`ts\n${source}\`\`\``);
});

test("a room is followed over a lost connection, and the process ends by itself", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const proxy = await startTcpProxy(server.port);
  onDispose(proxy.dispose);
  const url = `ws://127.0.0.1:${proxy.port}/ws?user=ann`;
  const { child, output } = run("follow.ts", { CHAT_URL: url });
  await output.match(/"data":"hello"/);
  proxy.cut();
  proxy.restore();
  await output.match(/lost; attempt 1/);
  const bob = await Client.connect(`${server.wsUrl}/ws?user=bob`);
  bob.send({ type: "join", room: "lobby" });
  await bob.nextOfType("joined");
  bob.send({ type: "room_message", room: "lobby", data: "goodbye" });
  await once(child, "close");
  expect([child.exitCode, output.text]).toEqual([0, expect.stringContaining("goodbye")]);
  await bob.close();
});

test("the example works in a busy room, where messages come faster than it has asked anything", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const bob = await Client.connect(`${server.wsUrl}/ws?user=bob`);
  bob.send({ type: "join", room: "lobby" });
  await bob.nextOfType("joined");
  let said = 0;
  const talking = setInterval(() => {
    bob.send({ type: "room_message", room: "lobby", data: `busy ${said++}` });
  }, 25);
  onDispose(() => clearInterval(talking));
  const { child, output } = run("follow.ts", { CHAT_URL: `${server.wsUrl}/ws?user=ann` });
  // Its own message, which was acknowledged behind many others.
  await output.match(/"from":"ann","room":"lobby","data":"hello"/);
  await output.match(/"data":"busy \d+"/);
  clearInterval(talking);
  bob.send({ type: "room_message", room: "lobby", data: "goodbye" });
  await once(child, "close");
  expect([child.exitCode, output.text]).toEqual([0, expect.stringContaining("goodbye")]);
  await bob.close();
});

test("each connection is seen by itself, until a normal close", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onDispose(() => server.close());
  let count = 0;
  server.on("connection", (socket) => {
    const code = ++count < 2 ? 1012 : 1000;
    socket.on("message", (data) => {
      socket.send(`${data} ${count}`);
      socket.close(code);
    });
  });
  await once(server, "listening");
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { child, output } = run("each.ts", { ECHO_URL: url });
  await once(child, "close");
  expect([child.exitCode, output.text]).toEqual([0, "subscribe 1\nlost: 1012\nsubscribe 2\n"]);
});
