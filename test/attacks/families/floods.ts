import { setTimeout as wait } from "node:timers/promises";
import { clientFrame, handshake } from "../../support/raw-handshake.ts";
import type { Case, Family } from "../family.ts";
import { Target } from "../target.ts";
import { frameOf } from "../wire.ts";

function flood(
  name: string,
  frame: Uint8Array,
  times: number,
  code: number,
  protocol: string | null = null,
): Case {
  return {
    name,
    answer: code,
    run: async (target) => {
      const client = await target.upgraded("/ws?user=flood", protocol);
      client.write(Buffer.concat(Array<Uint8Array>(times).fill(frame)));
      return client.closeCode();
    },
  };
}

const text = (value: unknown): Buffer => frameOf(JSON.stringify(value));
const frames: Case[] = [
  flood("5,000 pings", clientFrame(9), 5000, 4429),
  flood("5,000 large pings", clientFrame(9, "x".repeat(125)), 5000, 4429),
  flood("5,000 pongs nobody asked for", clientFrame(10), 5000, 4429),
  flood("5,000 large pongs nobody asked for", clientFrame(10, "x".repeat(125)), 5000, 4429),
  flood("2,000 empty texts", clientFrame(1), 2000, 4429),
  flood("2,000 empty binary messages", clientFrame(2), 2000, 4429),
  flood("2,000 broken messages", clientFrame(1, "{"), 2000, 4429),
  ...[
    { type: "ping" },
    { type: "join", room: "a" },
    { type: "leave", room: "a" },
    { type: "broadcast", data: 1 },
    { type: "direct_message", to: "canary2", data: 1 },
    { type: "history", room: "a" },
    { type: "room_message", room: "a", data: 1 },
  ].flatMap((message) => [
    flood(`2,000 times ${message.type}`, text(message), 2000, 4429),
    flood(
      `2,000 times ${message.type} in roomcast.v1`,
      text({ type: "message", data: message }),
      2000,
      4429,
      "roomcast.v1",
    ),
    flood(
      `2,000 times ${message.type} in roomcast.v1, to be acknowledged`,
      text({ type: "message", id: "x", data: message }),
      2000,
      4429,
      "roomcast.v1",
    ),
  ]),
  ...["ping", "join", "leave"].map((type) =>
    flood(
      `2,000 frames ${type} of roomcast.v1`,
      text({ type, room: "a", token: "x" }),
      2000,
      4429,
      "roomcast.v1",
    ),
  ),
  flood(
    "2,000 tokens where there is none to renew",
    text({ type: "auth", token: "" }),
    2000,
    1008,
    "roomcast.v1",
  ),
  flood("60 messages of 1 MB", text({ type: "ping", x: "x".repeat(1_000_000) }), 60, 4429),
  flood(
    "60 messages of nested arrays",
    text({ type: "ping", x: Array(100_000).fill([[[]]]) }),
    60,
    4429,
  ),
];

/** Connections that do nothing, or go in the middle of something. */
const storms: Case[] = [
  ["nothing", ""],
  ["half a request", "GET /ws HTTP/1.1\r\nHost: local"],
  ["a request", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
  ["an upgrade", handshake("/ws?user=storm")],
  ["an upgrade and half a frame", `${handshake("/ws?user=storm")}\u0081\u00fe`],
  [
    "an upgrade, a join, and a reset",
    handshake("/ws?user=storm") +
      clientFrame(1, '{"type":"join","room":"storm"}').toString("latin1"),
  ],
  ["garbage", "\u0000\u0001\u0002\u0003\r\n\r\n"],
  ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  [
    "another offer",
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  ],
  [
    "half a body",
    "POST /api/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
  ],
].flatMap(([name, bytes]) =>
  [true, false].map(
    (reset): Case => ({
      name: `200 connections that send ${name} and ${reset ? "are reset" : "close"}`,
      answer: "over",
      run: async (target) => {
        await Promise.all(
          Array.from({ length: 200 }, async () => {
            const client = await target.raw();
            client.write(bytes ?? "");
            await wait(1);
            if (reset) client.reset();
            else client.dispose();
          }),
        );
        return "over";
      },
    }),
  ),
);

const piles: Case[] = [
  "/health",
  "/health/live",
  "/",
  "/nowhere",
  "/ws",
  "/ws/stats",
  "/api/broadcast",
].map((path) => ({
  name: `50,000 requests for ${path} in one go`,
  answer: true,
  run: async (target) => {
    const client = await target.raw();
    client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(50_000));
    await client.closed();
    let answers = 0;
    while ((await client.answer()) !== null) answers++;
    return answers <= 1000;
  },
}));

export const floods: Family = {
  name: "storms and floods",
  tried:
    "pings, pongs, empty, broken, large and plain messages by the thousand; connections that come and go by the hundred, in the middle of whatever it was; requests piled up on one connection",
  answered: "4429, 1008; the connection is closed after at most 1,000 requests",
  start: () => Target.start({ env: { ROOMCAST_RATE_LIMIT: "50" } }),
  cases: [...frames, ...storms, ...piles],
};
