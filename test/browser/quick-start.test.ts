import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { install } from "../support/installed.ts";
import { end, ProcessOutput } from "../support/process-output.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();
let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium.dispose());

const read = (file: string): string => readFileSync(join(repositoryRoot, file), "utf8");

/** What stands under "Use it" in the README: the first block of each language. */
function fromReadme(language: string): string {
  const [, section = ""] = read("README.md").split("## Use it");
  const [, code = ""] = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "s").exec(section) ?? [];
  return code;
}

test("the server and the page of the README are those of the example, in under 30 lines", () => {
  expect(fromReadme("js")).toBe(read("examples/quick-start/server.mjs"));
  expect(fromReadme("html")).toBe(read("examples/quick-start/page.html"));
  const lines = (fromReadme("js") + fromReadme("html")).split("\n").length;
  expect(lines).toBeLessThan(30);
});

test("copied from the README they run: what one window says, both show", async () => {
  const installed = install();
  onDispose(installed.dispose);
  const port = String(await freePort());
  // The README has a port of its own, which may be taken here.
  const server = fromReadme("js").replaceAll("8000", port);
  writeFileSync(join(installed.folder, "server.mjs"), server);
  writeFileSync(join(installed.folder, "page.html"), fromReadme("html"));
  const child = spawn(process.execPath, ["server.mjs"], {
    cwd: installed.folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  onDispose(() => end(child, "SIGKILL"));
  const output = new ProcessOutput(child);
  const [url] = await output.match(/http:\/\/\S+/);

  const windows = [await chromium.browser.newPage(), await chromium.browser.newPage()];
  for (const page of windows) await page.goto(url);
  const [first] = windows;
  for (const said of ["hello", "how are you"]) {
    await first?.getByPlaceholder("Say something").fill(said);
    await first?.keyboard.press("Enter");
  }
  for (const page of windows) {
    await expect.poll(() => page.locator("li").allTextContents()).toEqual(["hello", "how are you"]);
  }
  expect(output.text.trim().split("\n")).toHaveLength(1);
});
