import { describe, expect, test } from "vitest";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { Frame } from "../../src/protocol/frame.ts";
import { encodePayload } from "../../src/protocol/payload.ts";

test.each([
  [0, "8100"],
  [125, "817d"],
  [126, "817e007e"],
  [65_535, "817effff"],
  [65_536, "817f0000000000010000"],
])("a text of %i bytes has the shortest header there is", (length, header) => {
  const data = Buffer.alloc(length, "x");
  const frame = new Frame({ data, binary: false });
  expect(frame.bytes.subarray(0, header.length / 2).toString("hex")).toBe(header);
  expect(frame.bytes.subarray(header.length / 2).equals(data)).toBe(true);
  expect(frame.payload.equals(data)).toBe(true);
  expect(frame.binary).toBe(false);
});

test("bytes travel in a binary frame", () => {
  const frame = new Frame(encodePayload(new Uint8Array([1, 2])));
  expect(frame.bytes.toString("hex")).toBe("82020102");
  expect(frame.binary).toBe(true);
});

describe("a message is what its value says", () => {
  test.each<[unknown, string]>([
    ["text", "text"],
    ["", ""],
    [0, "0"],
    [false, "false"],
    [null, "null"],
    [[], "[]"],
    [{}, "{}"],
    [{ a: "é" }, '{"a":"é"}'],
    [Number.NaN, "null"],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ])("%j is sent as text %s", (message, text) => {
    const { data, binary } = EncodedMessage.from(message);
    expect(data.toString()).toBe(text);
    expect(binary).toBe(false);
  });

  test.each([
    [new Uint8Array([1, 2, 3])],
    [Buffer.from([1, 2, 3])],
    [new Uint8Array([1, 2, 3]).buffer],
    [new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)],
  ])("bytes are sent as they are", (message) => {
    expect(encodePayload(message)).toEqual({ data: Buffer.from([1, 2, 3]), binary: true });
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["a function", () => {}],
    ["a symbol", Symbol("x")],
    ["a BigInt", 1n],
    ["a cycle", cycle],
    ["a toJSON that gives nothing", { toJSON: () => undefined }],
    [
      "a toJSON that throws",
      {
        toJSON: () => {
          throw new Error("no");
        },
      },
    ],
  ])("%s is a TypeError", (_name, message) => {
    expect(() => encodePayload(message)).toThrow(TypeError);
  });
});

test("the caller may go on using its buffer", () => {
  const bytes = new Uint8Array([1]);
  const message = EncodedMessage.from(bytes);
  bytes[0] = 9;
  expect(message.plain.payload).toEqual(Buffer.from([1]));
});

test("a message makes its frame once", () => {
  const message = EncodedMessage.from({ a: 1 });
  expect(message.plain).toBe(message.plain);
});
