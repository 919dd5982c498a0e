import fc from "fast-check";
import { expect, test } from "vitest";
import { readServerMessage } from "../../web/src/chat/protocol.ts";

const read = (value: unknown) => readServerMessage(JSON.stringify(value));

test("no frame whatsoever breaks the page", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (frame) => {
      readServerMessage(frame);
    }),
  );
  const types = ["message", "dm", "joined", "history", "error", "goodbye", "system"];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.object(), (type, fields) => {
      expect(read({ ...fields, type })).toHaveProperty("type", type);
    }),
  );
});

test("a message of this page keeps its id and time", () => {
  const data = { id: "1", text: "hello", at: 5 };
  expect(read({ type: "message", room: "lobby", from: "ann", data })).toEqual({
    type: "message",
    room: "lobby",
    said: { from: "ann", text: "hello", id: "1", at: 5 },
  });
});

test("other programs may send any data: text is shown as text, the rest as JSON", () => {
  const shown = (data: unknown) => {
    const message = read({ type: "dm", from: "ann", data });
    return message?.type === "dm" ? message.said.text : undefined;
  };
  expect(shown("hello")).toBe("hello");
  expect(shown({ temperature: 21 })).toBe('{"temperature":21}');
  expect(shown([1, 2])).toBe("[1,2]");
  expect(shown(0)).toBe("0");
  expect(shown(null)).toBe("null");
});

test("the history is what readers were sent, other entries aside", () => {
  const entry = (data: unknown) => ({ id: "1-0", prev: "0", data });
  const messages = [
    entry({ type: "message", room: "lobby", from: "ann", data: "hello" }),
    entry("some bytes"),
  ];
  expect(read({ type: "history", room: "lobby", messages, next: "1-0" })).toEqual({
    type: "history",
    room: "lobby",
    messages: [{ from: "ann", text: "hello" }],
    next: "1-0",
  });
});

test.each([1e300, -1e300, 8.64e15 + 1, -8.64e15 - 1])(
  "a message of the time %d, which no date can show, is one without a time",
  (at) => {
    const message = read({ type: "dm", from: "ann", data: { text: "hello", at } });
    expect(message).toEqual({ type: "dm", said: { from: "ann", text: "hello" } });
  },
);
