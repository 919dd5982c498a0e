import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();
const file = join(repositoryRoot, "examples/quick-start/main.ts");

test("the code of the README is the example's", () => {
  const readme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${readFileSync(file, "utf8")}\`\`\``);
});

test("it runs: people in a room hear the others, not themselves", async () => {
  const port = await freePort();
  // The example listens on a fixed port, which may be taken here.
  const source = readFileSync(file, "utf8").replace("listen(8000)", `listen(${port})`);
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: repositoryRoot,
    stdio: ["ignore", "inherit", "inherit"],
  });
  onDispose(() => child.kill("SIGKILL"));
  const url = `ws://localhost:${port}/chat/lobby`;
  await expect.poll(() => Client.connect(url).then((client) => client.close())).toBeUndefined();
  const alice = await Client.connect(url);
  const bob = await Client.connect(url);
  const other = await Client.connect(`ws://localhost:${port}/chat/elsewhere`);
  alice.send("hello");
  bob.send("hi");
  expect(await bob.next()).toBe("hello");
  expect(await alice.next()).toBe("hi");
  expect([alice, bob, other].flatMap((client) => client.waiting)).toEqual([]);
});
