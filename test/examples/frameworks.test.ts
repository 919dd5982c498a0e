import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";
import { jwt } from "../support/tokens.ts";

const dispose = useDisposals();

async function start(example: string, env: Record<string, string> = {}) {
  const file = join(repositoryRoot, "examples", example, "main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: repositoryRoot,
    env: { ...process.env, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  dispose(() => end(child, "SIGKILL"));
  return { child, output: new ProcessOutput(child) };
}

async function run(example: string) {
  const { child, output } = await start(example);
  const [url] = await output.match(/http:\/\/\S+?:\d+/);
  return { url, ws: url.replace("http:", "ws:"), child };
}

test.each(["express", "hono", "fastify"])(
  "the example for %s has rooms, an HTTP route that sends to them, and a proper end",
  async (example) => {
    const { url, ws, child } = await run(example);
    const alice = await Client.connect(`${ws}/rooms/lobby`);
    const bob = await Client.connect(`${ws}/rooms/lobby/`);
    const other = await Client.connect(`${ws}/rooms/other`);
    alice.send("hello");
    expect(await bob.next()).toBe("hello");

    const room = await fetch(`${url}/rooms/lobby`);
    expect(await room.json()).toEqual({ room: "lobby", connections: 2 });
    const posted = await fetch(`${url}/rooms/lobby`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: "from HTTP" }),
    });
    expect(await posted.json()).toMatchObject({ scope: "cluster", localRecipients: 2 });
    // Alice was excepted from her own message: this is her first.
    expect(await alice.nextJson()).toEqual({ type: "notice", text: "from HTTP" });
    expect(await bob.nextJson()).toEqual({ type: "notice", text: "from HTTP" });

    await expect(Client.connect(`${ws}/nowhere`)).rejects.toThrow("404");
    await expect(
      Client.connect(`${ws}/rooms/lobby`, { origin: "https://evil.example" }),
    ).rejects.toThrow("403");
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);

    const stopped = end(child, "SIGTERM");
    expect(await other.nextJson()).toMatchObject({ type: "system" });
    expect(await other.closed()).toMatchObject({ code: 1012 });
    await stopped;
    expect(child.exitCode).toBe(0);
  },
);

test("the example of the page about routes is shown there as it runs", async () => {
  const page = await readFile(join(repositoryRoot, "docs/routing.md"), "utf8");
  expect(page).toContain(await readFile(join(repositoryRoot, "examples/moves/main.ts"), "utf8"));
  const secret = "a secret that is long enough for HS256";
  const { output } = await start("moves", { JWT_SECRET: secret });
  const [, port] = await output.match(/port: (\d+)/);
  const url = `ws://127.0.0.1:${port}/ws/games/chess`;
  await expect(Client.connect(url)).rejects.toThrow("401");
  const exp = Math.floor(Date.now() / 1000) + 60;
  const token = jwt({ alg: "HS256" }, { sub: "alice", exp }, secret);
  const alice = await Client.connect(url, {}, ["bearer", token]);
  alice.send({ x: 1 });
  expect((await alice.nextJson()).message).toMatch(/^y: /);
  alice.send({ x: 1, y: 2 });
  expect(await alice.nextJson()).toEqual({ by: "alice", x: 1, y: 2 });
});
