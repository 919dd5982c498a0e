import fc from "fast-check";
import { expect, test } from "vitest";
import { fitsPattern } from "../../src/protocol/pattern.ts";
import { describeIssues } from "../../src/protocol/standard-schema.ts";

test("a pattern fits as the regular expression of the same meaning does", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ":"), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", ":", "*"), maxLength: 8 });
  fc.assert(
    fc.property(text, pattern, (name, written) => {
      const expected = new RegExp(`^${written.replaceAll("*", ".*")}$`).test(name);
      expect(fitsPattern(name, written)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  [[{ message: "too short", path: ["user", { key: "names" }, 0] }], "user.names.0: too short"],
  [[{ message: "Expected an object" }, { message: "and more" }], "Expected an object"],
  [[], "The message does not fit."],
])("what is wrong is said in one sentence that names the field (%#)", (issues, sentence) => {
  expect(describeIssues(issues)).toBe(sentence);
});
