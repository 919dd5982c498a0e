import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";

const dispose = useDisposals();

async function run(example: string) {
  const file = join(repositoryRoot, "examples", example, "main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: repositoryRoot,
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  dispose(() => end(child, "SIGKILL"));
  const [url] = await new ProcessOutput(child).match(/http:\/\/\S+?:\d+/);
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
