import fc from "fast-check";
import { expect, test } from "vitest";
import { checkName, isName, quote } from "../../src/protocol/names.ts";

test.each(["a", "room 1", "日本", "é".repeat(128), "x".repeat(256), "a:b/c*?", "😀".repeat(64)])(
  "%j is a name",
  (name) => {
    expect(checkName("room", name)).toBe(name);
    expect(isName(name)).toBe(true);
  },
);

test.each([
  ["", "is empty"],
  ["x".repeat(257), "is longer than 256 bytes"],
  ["é".repeat(129), "is longer than 256 bytes"],
  ["a\nb", "holds a control character"],
  ["a\u0000", "holds a control character"],
  ["a\u007f", "holds a control character"],
  ["a\u0085", "holds a control character"],
  ["{a}", "holds { or }"],
  ["}", "holds { or }"],
  ["\ud800", "is not valid Unicode"],
  ["\udc00\ud800", "is not valid Unicode"],
])("%j is no name", (name, why) => {
  expect(() => checkName("room", name)).toThrow(RangeError);
  expect(() => checkName("room", name)).toThrow(why);
  expect(isName(name)).toBe(false);
});

test.each([undefined, null, 1, {}, ["a"]])("%j is not even a string", (value) => {
  expect(() => checkName("user", value)).toThrow(TypeError);
  expect(isName(value)).toBe(false);
});

test("a quoted value never holds a control character and is short", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (value) => {
      const shown = quote(value);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      expect(shown.length).toBeLessThan(500);
    }),
  );
});
