import type { Scripts } from "../net/run.ts";

/** How much of a set or hash is asked for at a time. */
const PAGE = 500;

interface Page {
  /** Where to read on; "0" after the last. */
  readonly cursor: string;
  /** Members of a set; of a hash fields and values by turns. */
  readonly items: readonly string[];
}

/** The pages of a set or hash. What is there all the while comes at least once, perhaps more often. */
export async function* scan(
  scripts: Scripts,
  command: "SSCAN" | "HSCAN",
  key: string,
): AsyncGenerator<readonly string[]> {
  let cursor = "0";
  do {
    const page = await readPage(scripts, command, key, cursor);
    yield page.items;
    cursor = page.cursor;
  } while (cursor !== "0");
}

async function readPage(
  scripts: Scripts,
  command: "SSCAN" | "HSCAN",
  key: string,
  from: string,
): Promise<Page> {
  const reply = await scripts.command([command, key, from, "COUNT", String(PAGE)]);
  const [cursor, items] = reply as [string, string[]];
  return { cursor, items };
}
