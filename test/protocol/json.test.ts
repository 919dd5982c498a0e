import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson } from "../../src/protocol/json.ts";

test("any JSON that is not nested too deeply is parsed as JSON.parse would", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 20 }), (value) => {
      const text = JSON.stringify(value);
      expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }),
  );
});

test("any other text is refused without an exception, and not quoted", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const result = parseJson(`{${text}`);
      if (!result.ok) expect(result.message).toMatch(/^(The message is not valid JSON|JSON may)/);
    }),
  );
});

test("32 levels are allowed, 33 are not, however many brackets strings hold", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  expect(parseJson(nested(32)).ok).toBe(true);
  expect(parseJson(nested(33))).toMatchObject({ ok: false, code: "bad_json" });
  expect(parseJson(JSON.stringify(`${"[{".repeat(100)}\\"`)).ok).toBe(true);
  expect(parseJson("[".repeat(1_000_000)).ok).toBe(false);
});
