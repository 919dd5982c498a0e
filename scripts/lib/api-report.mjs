import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** What begins a declaration that other files can see. */
const DECLARATION =
  /^(?:export )?(?:declare )?(?:abstract )?(?:interface|class|type|function|const|enum) (\w+)/;

/**
 * The public types of an entry of the package, as the compiler has written them: each exported name with its declaration,
 * without comments, in the order of the alphabet.
 *
 * @param {string} root
 * @param {string} entry such as `index`, for `dist/index.d.ts`
 * @returns {string}
 */
export function apiReport(root, entry) {
  const file = join(root, "dist", `${entry}.d.ts`);
  const blocks = exportsOf(file).map(({ name, from, original }) => {
    const declaration = declarationOf(from, original);
    return `## ${name}${name === original ? "" : ` (${original})`}\n\n\`\`\`ts\n${declaration}\n\`\`\``;
  });
  return `# ${entry === "index" ? "roomcast" : `roomcast/${entry}`}\n\n${blocks.join("\n\n")}\n`;
}

/**
 * @param {string} file
 * @returns {{ name: string, from: string, original: string }[]}
 */
function exportsOf(file) {
  const text = readFileSync(file, "utf8");
  const found = [...text.matchAll(/export (?:type )?\{([^}]*)\} from "([^"]+)"/g)].flatMap(
    ([, names = "", from = ""]) =>
      names
        .split(",")
        .map((one) => one.trim().replace(/^type /, ""))
        .filter(Boolean)
        .map((one) => {
          const [original = "", name = original] = one.split(" as ");
          return {
            name,
            original,
            from: resolve(dirname(file), from.replace(/\.[jt]s$/, ".d.ts")),
          };
        }),
  );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * @param {string} file
 * @param {string} name
 * @returns {string} every declaration of the name in the file: functions may have several
 */
function declarationOf(file, name) {
  const lines = readFileSync(file, "utf8")
    .replace(/\/\*\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const parts = [];
  for (let at = 0; at < lines.length; at++) {
    if (DECLARATION.exec(lines[at] ?? "")?.[1] !== name) continue;
    const from = at;
    // A declaration goes on until something else begins at the margin.
    while (at + 1 < lines.length && /^[\s}\])|&]/.test(lines[at + 1] ?? "")) at++;
    parts.push(lines.slice(from, at + 1).join("\n"));
  }
  if (parts.length > 0) return parts.join("\n");
  const again = exportsOf(file).find((one) => one.name === name);
  if (again !== undefined) return declarationOf(again.from, again.original);
  throw new Error(`${name} is not declared in ${file}.`);
}
