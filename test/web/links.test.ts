import fc from "fast-check";
import { expect, test } from "vitest";
import { addressOf, conversationAt } from "../../web/src/chat/address.ts";
import { partsOf } from "../../web/src/chat/links.ts";
import { byName } from "../../web/src/chat/state.ts";

const links = (text: string) => partsOf(text).flatMap(({ href }) => href ?? []);

test.each([
  ["see https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
  ["(https://example.org/a_(b))", ["https://example.org/a_(b)"]],
  [
    "http://localhost:8000 and https://b.example!",
    ["http://localhost:8000/", "https://b.example/"],
  ],
  ["javascript:alert(1) data:text/html,x example.org //x", []],
  ['<a href="https://a.example">', ["https://a.example/"]],
  ["https:// http://", []],
])("addresses of the web in %s can be followed, and nothing else", (text, found) => {
  expect(links(text)).toEqual(found);
});

test("the parts of a message are the message, whatever it is", () => {
  const piece = fc.oneof(fc.string(), fc.webUrl(), fc.constant("https://"));
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join(" ");
      const parts = partsOf(text);
      expect(parts.map((part) => part.text).join("")).toBe(text);
      for (const { href } of parts) expect(href ?? "https:").toMatch(/^https?:/);
    }),
  );
});

test("an address says which conversation, whatever it is called", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[^\p{Cc}{}]{1,40}$/u), (name) => {
      expect(conversationAt(addressOf(`room:${name}`))).toBe(`room:${name}`);
      expect(conversationAt(addressOf(`user:${name}`))).toBe(`user:${name}`);
    }),
  );
  expect(conversationAt(addressOf("everyone"))).toBe("everyone");
  for (const other of ["", "#", "#room:", "#room", "#x:y", "#room:%", "#room:%7B"]) {
    expect(conversationAt(other)).toBeUndefined();
  }
});

test("names with numbers are in the order of the numbers", () => {
  expect(["user10", "user2", "user1"].sort(byName)).toEqual(["user1", "user2", "user10"]);
});
