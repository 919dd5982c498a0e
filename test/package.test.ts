import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { install } from "./support/installed.ts";
import { repositoryRoot, trackedFiles } from "./support/repository.ts";

describe("without the optional packages", () => {
  const installed = install();
  afterAll(() => installed.dispose());
  const SECRET = "a secret that is long enough for HS256";

  test("API keys work", () => {
    const { status, stdout, stderr } = installed.run(`
      import { apiKeyAuthenticator } from "roomcast/auth";
      const key = "0123456789abcdef";
      const { id } = await apiKeyAuthenticator({ keys: [key] })({}, { token: key });
      console.log(id);
    `);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "apiKey\n", stderr: "" });
  });

  test.each([
    [
      "jwtAuthenticator",
      `import { jwtAuthenticator } from "roomcast/auth"; jwtAuthenticator({ secret: "${SECRET}" });`,
      "ConfigurationError: jwtAuthenticator needs the package jose: npm install jose",
    ],
    [
      "redisBackplane",
      `import { redisBackplane } from "roomcast/redis"; redisBackplane();`,
      "ConfigurationError: redisBackplane needs the package @redis/client: npm install @redis/client",
    ],
  ])("%s names the remedy at once", (_name, code, told) => {
    const { status, stderr } = installed.run(code);
    expect(status).toBe(1);
    expect(stderr).toContain(told);
  });

  test.each([
    ["serve with tokens", ["serve"], { JWT_SECRET: SECRET }, "npm install jose"],
    [
      "serve on Redis",
      ["serve"],
      { REDIS_URL: "redis://127.0.0.1:1" },
      "npm install @redis/client",
    ],
    ["token", ["token", "--user", "a"], { JWT_SECRET: SECRET }, "npm install jose"],
  ])("%s names the remedy in one line", (_name, args, env, told) => {
    const { status, stderr } = installed.roomcast(args, { PORT: "0", ...env });
    expect(status).toBe(1);
    expect(stderr).toContain(told);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("the types", () => {
  /** The packages that a user needs who imports this entry. */
  function needs(entry: string): string[] {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, from = "", by = ""] of text.matchAll(/from "([^"]+)"|import\("([^"]+)"\)/g)) {
        const target = from || by;
        if (target.startsWith(".")) {
          visit(resolve(dirname(file), target.replace(/\.[jt]s$/, ".d.ts")));
        } else if (!target.startsWith("node:")) packages.add(target);
      }
    };
    visit(join(repositoryRoot, "dist", `${entry}.d.ts`));
    return [...packages].toSorted();
  }

  test.each([
    ["index", []],
    ["auth", []],
    ["client", []],
    ["client.browser", []],
    ["testing", []],
    ["fastify", ["fastify"]],
    ["redis", ["@redis/client"]],
    ["react", ["roomcast/client"]],
  ])("of %s need no package but %j", (entry, packages) => {
    expect(needs(entry)).toEqual(packages);
  });

  test("bring no package along, and so no version of @types/node", () => {
    const text = readFileSync(join(repositoryRoot, "package.json"), "utf8");
    const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(text);
    expect(Object.keys(dependencies).filter((name) => name.startsWith("@types/"))).toEqual([]);
  });
});

describe("the package", () => {
  const { stdout } = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: repositoryRoot,
    encoding: "utf8",
  });
  const [packed]: [{ files: { path: string }[] }] = JSON.parse(stdout);
  const files = new Set(packed.files.map(({ path }) => path));
  const folders = new Set(packed.files.map(({ path }) => dirname(path)));
  const read = (file: string): string => readFileSync(join(repositoryRoot, file), "utf8");
  const linksIn = (file: string): string[] =>
    [...read(file).matchAll(/\]\(([^)#\s]+)/g)].map(([, link = ""]) => link);

  test("brings the documentation and the examples along", () => {
    // Pictures are seen where the README is.
    const wanted = trackedFiles().filter((file) =>
      /^(docs(?!\/pictures)|examples|deploy)\//.test(file),
    );
    expect(wanted.length).toBeGreaterThan(40);
    expect(wanted.filter((file) => !files.has(file))).toEqual([]);
  });

  test("has no link in its documentation that leads nowhere within it", () => {
    const pages = [...files].filter((file) => /^docs\/.*\.md$/.test(file));
    const lost = pages.flatMap((page) =>
      linksIn(page)
        .filter((link) => !link.includes("://"))
        .map((link) => join(dirname(page), link))
        .filter((target) => !files.has(target) && !folders.has(target)),
    );
    expect(lost).toEqual([]);
  });

  test("has a README whose links work on any page that shows it", () => {
    const home = "https://github.com/roomcast/roomcast/blob/main/";
    const links = linksIn("README.md");
    expect(links.filter((link) => !link.startsWith("https://"))).toEqual([]);
    const ours = links
      .filter((link) => link.startsWith(home))
      .map((link) => link.slice(home.length));
    expect(ours.length).toBeGreaterThan(15);
    expect(ours.filter((path) => !existsSync(join(repositoryRoot, path)))).toEqual([]);
  });

  test("says where it comes from and where to report what is wrong", () => {
    expect(JSON.parse(read("package.json"))).toMatchObject({
      repository: { url: "git+https://github.com/roomcast/roomcast.git" },
      homepage: "https://github.com/roomcast/roomcast#readme",
      bugs: { url: "https://github.com/roomcast/roomcast/issues" },
    });
  });
});
