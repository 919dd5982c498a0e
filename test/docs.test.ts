import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_OPERATIONS } from "../src/cli/api.ts";
import { makeEndpoints } from "../src/cli/http.ts";
import { OPERATORS_PATH } from "../src/cli/operators.ts";
import { ConnectionManager } from "../src/server/connection-manager.ts";
import { repositoryRoot, trackedFiles } from "./support/repository.ts";
import { type ServeProcess, startServe } from "./support/serve.ts";

const read = (file: string): string => readFileSync(join(repositoryRoot, file), "utf8");
const pages = trackedFiles().filter((file) => /^(README|CONTRIBUTING|docs\/[^/]+)\.md$/.test(file));

/** The commands of a page: what stands in its blocks for a shell, without comments and what programs print. */
function commandsOf(page: string): string[] {
  const blocks = [...read(page).matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
  return blocks
    .flatMap((block) => block.split("\n"))
    .filter((line) => !/^[><#]/.test(line))
    .map((line) => line.replace(/\s#.*$/, ""));
}

describe("commands in the documentation", () => {
  test.each(pages)("of %s mean the same in zsh", (page) => {
    // Outside of quotes zsh takes these for a pattern, and fails if no file fits it.
    const unquoted = commandsOf(page).filter((line) =>
      /[?*[\]]/.test(line.replace(/"(\\.|[^"\\])*"|'[^']*'/g, "")),
    );
    expect(unquoted).toEqual([]);
  });

  test.each(pages)("of %s say what must be installed for them", (page) => {
    const text = read(page);
    if (text.includes("python3 -m websockets")) expect(text).toContain("pip install websockets");
  });
});

function roomcast(...args: string[]): { stdout: string; stderr: string } {
  const main = join(repositoryRoot, "dist/cli/main.js");
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 60_000 });
}

const matches = (text: string, pattern: RegExp): string[] =>
  [...new Set([...text.matchAll(pattern)].map(([whole, part]) => part ?? whole))].toSorted();

/** The options that a help text names. */
const flagsIn = (help: string): string[] => matches(help, /^ {2}(?:-\w, )?(--[a-z-]+)/gm);

describe("the roomcast command", () => {
  const { stdout: help } = roomcast("--help");
  const named = matches(help, /^ {2}([a-z]+) {2,}/gm);
  const helps = new Map(named.map((command) => [command, roomcast(command, "--help").stdout]));

  test("names the commands that there are", () => {
    const [, list = ""] = /there are: (.*)\./.exec(roomcast("no-such-command").stderr) ?? [];
    expect(named).toEqual(list.split(", ").toSorted());
  });

  test.each(named)("%s names the options that there are", (command) => {
    const taken = flagsIn(helps.get(command) ?? "").filter((flag) => flag !== "--help");
    expect(taken.length).toBeGreaterThan(0);
    const source = ["client-options", command, `${command}-options`]
      .map((file) => `src/cli/${file}.ts`)
      .filter((file) => trackedFiles().includes(file))
      .filter((file) => !file.includes("client-options") || /^(tail|send)$/.test(command))
      .map(read)
      .join("\n");
    const options = matches(source, /^ {2,}"?([a-z-]+)"?: \{ type: "(?:string|boolean)"/gm);
    const inline = matches(source, /\b([a-z]+): \{ type: "(?:string|boolean)"/g);
    const real = [...new Set([...options, ...inline])].map((name) => `--${name}`);
    expect(taken).toEqual(real.toSorted());
  });

  test.each(pages)("is used in %s with commands and options that there are", (page) => {
    for (const line of read(page).split("\n")) {
      const [, command, rest = ""] = /\broomcast ([a-z]+)\b(.*)/.exec(line) ?? [];
      if (command === undefined || !/`|^npx|^\$/.test(line)) continue;
      expect(named).toContain(command);
      for (const flag of matches(rest, /\s(--[a-z-]+)/g)) {
        expect(flagsIn(helps.get(command) ?? "")).toContain(flag);
      }
    }
  });
});

test("scripts and variables that the documentation names exist", () => {
  const text = pages.map(read).join("\n");
  const { scripts }: { scripts: object } = JSON.parse(read("package.json"));
  const missing = matches(text, /npm run ([a-z:-]+)/g).filter((name) => !(name in scripts));
  expect(missing).toEqual([]);
  const source = trackedFiles()
    .filter((file) => /^(src|scripts)\//.test(file))
    .map(read)
    .join("\n");
  const variables = matches(text, /\b(?:WS|ROOMCAST|JWT|JWKS|REDIS)_[A-Z_]+\b/g);
  expect(variables.length).toBeGreaterThan(15);
  expect(variables.filter((name) => !source.includes(name))).toEqual([]);
});

describe("the endpoints of serve", () => {
  let server: ServeProcess;
  beforeAll(async () => {
    server = await startServe();
  });
  afterAll(() => server.dispose());

  const page = read("docs/serve.md");
  const operations = matches(page, /^\| `((?:GET|POST|DELETE|PUT) \/[^`]+)`/gm);
  const [, table = ""] = page.split("## Endpoints\n");
  const [rows = ""] = table.split("\n\n");
  const paths = matches(matches(rows, /^\|([^|]+)\|/gm).join(), /`(\/[^`]*)`/g);

  test("that are documented are those that there are", () => {
    const endpoints = [
      ...makeEndpoints(new ConnectionManager(), {
        authenticate: null,
        maxMemoryBytes: null,
      }).keys(),
    ];
    // Sockets have sections of their own, pages are no endpoints.
    expect(["/ws", OPERATORS_PATH, ...paths].toSorted()).toEqual(
      ["/", "/dashboard", ...endpoints].toSorted(),
    );
    expect(operations).toEqual([...API_OPERATIONS].toSorted());
  });

  test("answer", async () => {
    for (const path of paths) expect((await fetch(server.url + path)).status).toBe(200);
  });

  test("that help and documentation name in passing exist too", async () => {
    // That page names what was there before.
    const current = pages.filter((one) => !one.endsWith("coming-from-python.md"));
    const text = [roomcast("serve", "--help").stdout, ...current.map(read)].join("\n");
    const named = matches(text, /(?:^|[\s`])(\/(?:api|ws|health|dashboard|metrics)\b(?:\/\w+)*)/gm);
    expect(named).toContain("/ws/stats");
    for (const path of named.filter((one) => !one.startsWith("/api"))) {
      expect([path, (await fetch(server.url + path)).status]).not.toEqual([path, 404]);
    }
  });
});

test("the settings for Vite's proxy are the example's", () => {
  expect(read("docs/frameworks.md")).toContain(read("examples/vite/vite.config.js"));
});
