// `npm run docs:configuration`: writes docs/configuration.md, so that it says what the code says.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_SETTINGS } from "../src/protocol/config.ts";
import type { Setting } from "../src/protocol/setting.ts";
import { LIMIT_SETTINGS } from "../src/server/limits.ts";
import { repositoryRoot } from "../test/support/repository.ts";

const read = (file: string): string => readFileSync(join(repositoryRoot, file), "utf8");

/** The docstrings of the members of an interface, by name, as one line. */
function docstrings(...files: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of files) {
    for (const [, text = "", name = ""] of read(file).matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s+readonly (\w+):/g,
    )) {
      found.set(name, text.replace(/\s*\n\s*\*/g, "").trim());
    }
  }
  return found;
}

function rows(
  settings: Readonly<Record<string, Setting<never>>>,
  texts: ReadonlyMap<string, string>,
): string[][] {
  return Object.entries(settings).map(([name, setting]) => [
    `\`${name}\``,
    setting.variable === "" ? "" : `\`${setting.variable}\``,
    setting.variable === "" ? setting.allowedOption : setting.allowed,
    texts.get(name) ?? "",
  ]);
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const escaped = (cell: string): string => cell.replaceAll("|", "\\|");
  const lines = [head, head.map(() => "---"), ...body.map((row) => row.map(escaped))];
  return lines.map((row) => `| ${row.join(" | ")} |`).join("\n");
}

export function configurationPage(): string {
  const config = docstrings("src/protocol/client-config.ts", "src/protocol/config.ts");
  const limits = docstrings("src/server/limits.ts");
  const own = CONFIG_SETTINGS as unknown as Record<string, Setting<never>>;
  const ownLimits = LIMIT_SETTINGS as unknown as Record<string, Setting<never>>;
  return `# Configuration

<!-- Written by npm run docs:configuration from the code. -->

Variables of the environment are in seconds, options in milliseconds. The library reads the environment only where you ask for it:
\`new ConnectionManager({ config: loadConfig() })\`; \`roomcast serve\` does. A value out of range or not understood stops the start with an
error that names the variable, the value and what is allowed.

## Connections and the cluster

As the option \`config\` of a manager; those of times, sizes and reconnecting also of a \`WebSocketClient\`.

${table(["option", "variable", "allowed", "what it is"], rows(own, config))}

## Limits

As the option \`limits\` of a manager: what one instance lets its clients use.

${table(
  ["option", "allowed", "what it is"],
  rows(ownLimits, limits).map(([name = "", , allowed = "", text = ""]) => [name, allowed, text]),
)}

## The ready-made server

\`roomcast serve --help\` lists its flags and their variables; [serve.md](serve.md) tells what they are for.
`;
}

if (process.argv[1]?.endsWith("configuration.ts")) {
  writeFileSync(join(repositoryRoot, "docs/configuration.md"), configurationPage());
}
