import fc from "fast-check";
import { expect, test } from "vitest";
import { hueOf, initials } from "../../web/src/chat/avatar-face.ts";

test.each([
  ["alice", "A"],
  ["Chen Wei", "CW"],
  ["ada.lovelace@example.org", "AL"],
  ["😀 smile", "😀S"],
  ["...", "?"],
])("%s is shown as %s", (name, expected) => {
  expect(initials(name)).toBe(expected);
});

test("every name has one of eight colours, always the same", () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      expect([0, 1, 2, 3, 4, 5, 6, 7]).toContain(hueOf(name));
      expect(hueOf(name)).toBe(hueOf(name));
    }),
  );
});
