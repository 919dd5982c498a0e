import { createClient } from "@redis/client";
import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

const MARK = Buffer.from([0x00, 0x52, 0x43, 0x01]);
const LINK = Buffer.from([0x00, 0x52, 0x43, 0x02]);

/** A packet with this header, which may be anything. */
function packet(header: unknown, payload = ""): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.from([text.length >> 8, text.length & 0xff]);
  return Buffer.concat([MARK, length, text, Buffer.from(payload)]);
}

function linked(id: string, prev: string, inner: Uint8Array): Buffer {
  return Buffer.concat([LINK, Buffer.from(`${id} ${prev}\n`), inner]);
}

const HARMLESS = packet(["stranger", 0, 1, "message", 0, null], "x");

/** Links within links within links. */
function nested(depth: number): Buffer {
  return Buffer.concat([
    ...Array<Buffer>(depth).fill(linked("1-1~x", "0", Buffer.alloc(0))),
    HARMLESS,
  ]);
}

const CODES = [
  -1,
  0,
  1,
  999,
  1004,
  1005,
  1006,
  1015,
  2999,
  5000,
  65_536,
  99_999,
  1.5,
  1e300,
  null,
  "1000",
  [],
  {},
];
const GARBAGE: Readonly<Record<string, Uint8Array>> = {
  nothing: Buffer.alloc(0),
  "a NUL": Buffer.from([0]),
  "no UTF-8": Buffer.from([0xff, 0xfe, 0x80]),
  "a mark": MARK,
  "half a mark": MARK.subarray(0, 3),
  "a mark and half a length": Buffer.concat([MARK, Buffer.from([0])]),
  "a mark and a length beyond the end": Buffer.concat([
    MARK,
    Buffer.from([0xff, 0xff]),
    Buffer.from("{}"),
  ]),
  "another version": Buffer.from([0x00, 0x52, 0x43, 0x09, 1, 2, 3]),
  "a link mark": LINK,
  "a link without an end": Buffer.concat([LINK, Buffer.from("1-1~x 0")]),
  "a link that names no positions": linked("x", "y", HARMLESS),
  "a link to nothing": linked("1-1~x", "0", Buffer.alloc(0)),
  "a link around text": linked("1-1~x", "0", Buffer.from("hello")),
  "a link around an order": linked("1-1~x", "0", packet(["s", 0, 1, "disconnect", 1000, ""])),
  "a link in a link": nested(2),
  "a thousand links within each other": nested(1000),
  "50,000 links within each other": nested(50_000),
  "a million bytes": Buffer.alloc(1_000_000, 0xff),
  "a header of 65,535 bytes": packet(`["${"x".repeat(65_531)}"]`.slice(0, 65_535)),
  ...Object.fromEntries(
    [
      "",
      "null",
      "1",
      "{}",
      "[]",
      "[1]",
      '"x"',
      "[[]]",
      "{",
      '["s"]',
      '["s",0]',
      '["s",0,1]',
      '["s",0,1,"x"]',
      '["s","0",1,"message",0,null]',
      '["s",1e300,1,"message",0,null]',
      '["s",0,0.5,"message",0,null]',
      '[null,0,1,"message",0,null]',
      '["s",0,1,"message",2,null]',
      '["s",0,1,"message",0,1]',
      '["s",0,1,"message",0,{}]',
      '["s",0,1,"message",0,{"connections":1,"users":1}]',
      '["s",0,1,"message",0,{"connections":[1],"users":[]}]',
      '["s",0,1,"message",0,null,1]',
      '["s",0,1,"message",0,null,"x","y"]',
      '["s",0,1,"join"]',
      '["s",0,1,"join",1,1]',
      '["s",0,1,"join","",0.5]',
      '["s",0,1,"leave",null,1]',
      '["s",0,1,"__proto__"]',
      '["s",0,1,"toString",1]',
      '["s",0,1,["message"],0,null]',
      '["s",0,1,"disconnect"]',
    ].map((header): [string, Uint8Array] => [`the header ${header}`, packet(header)]),
  ),
  ...Object.fromEntries(
    CODES.map((code): [string, Uint8Array] => [
      `an order to close with ${shown(code)}`,
      packet(["s", 0, 1, "disconnect", code, "x"]),
    ]),
  ),
  "an order to close with a reason that is too long": packet([
    "s",
    0,
    1,
    "disconnect",
    4000,
    "é".repeat(62),
  ]),
  "an order to close with a reason that is none": packet([
    "s",
    0,
    1,
    "disconnect",
    4000,
    { toString: 1 },
  ]),
  "an order to join a room that is none": packet(["s", 0, 1, "join", "{", 1, "nobody"]),
};

/** Where there is somebody to be harmed; orders that are well-formed are believed, so they go to nobody. */
const CHANNELS = [
  "ws:room:canary",
  "ws:user:canary",
  "ws:broadcast",
  "ws:changes:room:canary",
  "ws:changes:online",
];

function makeClient(url: string) {
  return createClient({ url });
}

type RedisClient = ReturnType<typeof makeClient>;

async function withRedis<T>(target: Target, work: (client: RedisClient) => Promise<T>): Promise<T> {
  const client = makeClient(target.redis?.url ?? "");
  await client.connect();
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}

const published: Case[] = CHANNELS.flatMap((channel) =>
  Object.entries(GARBAGE).map(([name, bytes]) => ({
    name: `${name} on ${channel}`,
    // Passed over, or delivered as the text it is: nobody is told of an error, and nobody is closed.
    answer: "published",
    run: (target: Target) =>
      withRedis(target, async (client) => {
        await client.publish(channel, Buffer.from(bytes));
        return "published";
      }),
  })),
);

/** Text that anybody may publish is delivered as text. */
const texts: Case[] = [
  "hello",
  '{"hello":1}',
  "{",
  "\u202e",
  "null",
  '{"type":"goodbye","code":1000,"reconnect":false,"after_ms":0}',
].map((text) => ({
  name: `the text ${shown(text)} on a room's channel`,
  answer: text,
  run: async (target) => {
    const client = await target.client();
    client.send({ type: "join", room: "texts" });
    await client.nextOfType("joined");
    await withRedis(target, (redis) => redis.publish("ws:room:texts", text));
    for (;;) {
      const message = String(await client.next());
      if (!message.includes("user_joined")) return message;
    }
  },
}));

/** What somebody else wrote into a log keeps nobody from going on in the room. */
const logs: Case[] = [
  { hello: "world" },
  { prev: "0", nonce: "n", packet: "garbage" },
  { prev: "", nonce: "", packet: "" },
  { packet: "x", nonce: "n", prev: "0" },
  { prev: "x".repeat(1000), nonce: "~", packet: "\u0000" },
].map((entry, i) => ({
  name: `the entry ${shown(entry)} in a room's log`,
  answer: "mine",
  run: async (target) => {
    const room = `log${i}`;
    await withRedis(target, (redis) => redis.xAdd(`ws:log:room:${room}`, "*", entry));
    const client = await target.client();
    client.send({ type: "join", room });
    await client.nextOfType("joined");
    client.send({ type: "room_message", room, data: "mine" });
    await client.nextOfType("message");
    client.send({ type: "history", room });
    const { messages } = (await client.nextOfType("history")) as unknown as {
      messages: { data: { data: unknown } }[];
    };
    return messages.at(-1)?.data.data;
  },
}));

export const redis: Family = {
  name: "garbage on Redis",
  tried:
    "packets that are cut, nested, mistyped or of another version, and orders to close with codes that there are not, on every kind of channel; entries that strangers wrote into logs",
  answered: "passed over and counted; text is delivered as text",
  start: () => Target.start({ redis: true }),
  cases: [...published, ...texts, ...logs],
};
