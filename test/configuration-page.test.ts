import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configurationPage } from "../scripts/configuration.ts";
import { repositoryRoot } from "./support/repository.ts";

/** A table without the spaces that make it pretty. */
const plain = (text: string): string => text.replace(/ *\| */g, "|").replace(/-{3,}/g, "---");

test("docs/configuration.md says what the code says", () => {
  const page = readFileSync(join(repositoryRoot, "docs/configuration.md"), "utf8");
  expect(plain(page)).toBe(plain(configurationPage()));
  for (const name of ["WS_RECONNECT_JITTER", "WS_PRESENCE_TTL", "REDIS_URL"])
    expect(page).toContain(name);
  // Every setting has a sentence.
  expect(page).not.toMatch(/\|\s*\|\n/);
});
