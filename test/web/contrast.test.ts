import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../support/repository.ts";

const css = readFileSync(join(repositoryRoot, "web/src/theme/tokens.css"), "utf8");
const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");

function colours(part: string): Map<string, string> {
  const tokens = part.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g);
  return new Map(Array.from(tokens, ([, name = "", value = ""]) => [name, value]));
}

/** Relative luminance (WCAG 2.2). */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [darker = 0, lighter = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (lighter + 0.05) / (darker + 0.05);
}

const TEXT_ON: Record<string, string[]> = {
  ground: ["ink", "ink-soft", "ink-faint", "accent", "ember-ink"],
  surface: ["ink", "ink-soft", "ink-faint", "accent", "ember-ink"],
  raised: ["ink", "ink-soft", "ink-faint"],
  selected: ["ink", "ink-soft", "accent"],
  hover: ["ink", "accent"],
  accent: ["on-accent"],
  "accent-strong": ["on-accent"],
  "accent-soft": ["ink", "ink-soft", "accent"],
  ember: ["on-ember"],
  "ember-soft": ["ember-ink"],
};

test.each([
  ["light", colours(light)],
  ["dark", colours(dark)],
])("text can be read in %s (WCAG AA: 4.5 to 1), and fields be seen (3 to 1)", (_, tokens) => {
  const pairs = Object.entries(TEXT_ON).flatMap(([background, texts]) =>
    texts.map((text) => [text, background, 4.5] as const),
  );
  const fields = ["ground", "surface"].map(
    (background) => ["control-line", background, 3] as const,
  );
  const poor = [...pairs, ...fields].flatMap(([text, background, least]) => {
    const reached = contrast(tokens.get(text) ?? "", tokens.get(background) ?? "");
    return reached >= least ? [] : [`${text} on ${background}: ${reached.toFixed(2)}`];
  });
  expect(poor).toEqual([]);
});
