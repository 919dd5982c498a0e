import { clientFrame } from "../../support/raw-handshake.ts";
import { type Case, shown } from "../family.ts";
import { bytes, frameOf } from "../wire.ts";

/** JSON, or nearly, and what is said of it. */
const TEXTS: readonly [string, string][] = [
  ...[
    "",
    " ",
    "{",
    "}",
    "[",
    "nul",
    "undefined",
    "NaN",
    "Infinity",
    "'a'",
    "{a:1}",
    '{"a":1,}',
    "[1,]",
    "01",
    "+1",
    ".5",
    "1.",
    "0x10",
    '"\\x"',
    '"\\u12"',
    '"\t"',
    '{"a"}',
    '{"a":}',
    "//",
    "/**/{}",
    "{}{}",
    "{} x",
    "\ufeff{}",
    "\u0000",
    "True",
    "-",
    "1e",
    '"',
    '"\\"',
    '{"":',
    "[[[",
    "]]]",
    "<xml/>",
    "GET / HTTP/1.1",
    "--",
    "`",
    "(function(){})()",
  ].map((text): [string, string] => [text, "bad_json"]),
  ...[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1e308",
    "1e999",
    '"x"',
    "[]",
    "[[]]",
    '[{"type":"ping"}]',
    '"\\u0000"',
    '"\\ud800"',
  ].map((text): [string, string] => [text, "bad_message"]),
  ...[
    "{}",
    '{"type":null}',
    '{"type":0}',
    '{"type":[]}',
    '{"type":{}}',
    '{"type":""}',
    '{"type":"PING"}',
    '{"type":"ping "}',
    '{"type":"__proto__"}',
    '{"type":"constructor"}',
    '{"type":"toString"}',
    '{"type":"hasOwnProperty"}',
    '{"__proto__":{"type":"ping"}}',
    '{"type":{"toString":1,"valueOf":1}}',
    '{"type":["ping"]}',
    '{"type":"ping","type":"x"}',
    '{"constructor":{"prototype":{"type":"ping"}}}',
    '{"type":"auth","token":"x"}',
    '{"Type":"ping"}',
  ].map((text): [string, string] => [text, "unknown_type"]),
];

/** What no conversion may be tried on. */
export const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  [],
  {},
  [[]],
  ["lobby"],
  { toString: 1, valueOf: 1 },
  { toString: null },
  { toJSON: 1 },
  { prototype: 1 },
  { length: -1 },
  { "": "" },
  { constructor: { prototype: {} } },
  [null],
  [{ toString: 1 }],
];

const NO_NAMES = [
  "",
  "\u0000",
  "a\nb",
  "a\u007f",
  "\u0085",
  "{",
  "}",
  "a{b}",
  "x".repeat(257),
  "é".repeat(129),
  "\u001b[2J",
];

const fields: Case[] = [];
for (const [type, field] of [
  ["join", "room"],
  ["leave", "room"],
  ["room_message", "room"],
  ["direct_message", "to"],
  ["history", "room"],
] as const) {
  for (const value of [...VALUES, ...NO_NAMES]) {
    const message = { type, data: 1, [field]: value };
    fields.push(
      bytes(`${type} with the ${field} ${shown(value)}`, clientFrame(1, JSON.stringify(message)), {
        errors: ["bad_field"],
      }),
    );
  }
}
for (const value of [null, true, 0, -1, 1.5, 1e300, [], {}, "", "10", 1001]) {
  const message = JSON.stringify({ type: "history", room: "lobby", limit: value });
  fields.push(
    bytes(`history with the limit ${shown(value)}`, clientFrame(1, message), {
      errors: ["bad_field"],
    }),
  );
}

const V1_CODES: readonly [field: string, type: string, code: string][] = [
  ["type", "", "unknown_type"],
  ["id", "message", "bad_id"],
  ["room", "join", "bad_room"],
  ["room", "leave", "bad_room"],
  ["token", "auth", "bad_frame"],
];
const v1 = [
  ...V1_CODES.flatMap(([field, type, code]) =>
    VALUES.map((value) => {
      const frame = JSON.stringify({ type, data: 1, [field]: value });
      const name = `roomcast.v1 with ${shown(value)} as the ${field}${type && ` of ${type}`}`;
      return bytes(name, clientFrame(1, frame), { errors: [code] }, "roomcast.v1");
    }),
  ),
  ...VALUES.filter(
    (value) => typeof value !== "object" || value === null || Array.isArray(value),
  ).map((value) =>
    bytes(
      `roomcast.v1 with ${shown(value)} as the rooms of resume`,
      clientFrame(1, JSON.stringify({ type: "resume", rooms: value })),
      { errors: ["bad_frame"] },
      "roomcast.v1",
    ),
  ),
  ...[
    "",
    "00",
    "ffff",
    "0001",
    "000100",
    "00027b7d",
    "00107b7d",
    "00047b7d7d7d",
    "0002ffff",
    "000200007b7d",
  ].map((hex) =>
    bytes(
      `roomcast.v1 with the binary frame ${hex}`,
      clientFrame(2, Buffer.from(hex, "hex")),
      {
        errors: [binaryFault(hex)],
      },
      "roomcast.v1",
    ),
  ),
];

/** A header that is there but is no JSON, or no known frame; or none. */
function binaryFault(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  const size = bytes.length < 2 ? Number.POSITIVE_INFINITY : bytes.readUInt16BE(0);
  if (bytes.length < 2 + size) return "bad_frame";
  return bytes.toString("utf8", 2, 2 + size) === "{}" ? "bad_frame" : "bad_json";
}

const deep = [33, 100, 10_000, 500_000].flatMap((depth) => [
  bytes(`arrays nested ${depth} deep`, frameOf("[".repeat(depth) + "]".repeat(depth)), {
    errors: ["bad_json"],
  }),
  bytes(`arrays nested ${depth} deep that do not end`, frameOf("[".repeat(depth)), {
    errors: ["bad_json"],
  }),
  bytes(
    `objects nested ${depth} deep`,
    frameOf(`${'{"a":'.repeat(Math.min(depth, 100_000))}1${"}".repeat(Math.min(depth, 100_000))}`),
    { errors: ["bad_json"] },
  ),
]);

/** What is in messages: broken and nested JSON, and objects that cannot be made text. */
export const messages: readonly Case[] = [
  ...TEXTS.map(([text, code]) =>
    bytes(`the text ${shown(text)}`, clientFrame(1, text), { errors: [code] }),
  ),
  ...fields,
  ...v1,
  ...deep,
];
