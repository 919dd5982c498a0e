import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

const NO_POSITIONS = [
  "",
  " ",
  "x",
  "1",
  "-1",
  "0-0",
  "1-1",
  "1-1~",
  "~",
  "~x",
  "1-1~x y",
  "1-1~{",
  "-1-1~x",
  "1--1~x",
  "1.5-1~x",
  "1e3-0~x",
  "+1-1~x",
  `${"9".repeat(16)}-0~x`,
  `1-${"9".repeat(16)}~x`,
  `1-1~${"x".repeat(33)}`,
  "$",
  "+",
  "*",
  "-",
  "(1-1",
  "1-1~x\n",
  "1-1~x\u0000",
  "0 ",
  "00",
  "Infinity-0~x",
  "NaN-0~x",
  "1-1~é",
  "[1-1~x",
  "1-1~x~y",
  "１-1~x",
  "x".repeat(10_000),
];
/** Well-formed, but of no log of ours. */
const STRANGE_POSITIONS = [
  "1-1~x",
  "999999999999999-0~x",
  "0-1~x",
  "999999999999999-999999999999999~x",
  "1-1~___",
  "1-0~abcdefgh",
];

const pages: Case[] = NO_POSITIONS.map((since) => ({
  name: `history since ${shown(since)}`,
  answer: "bad_position",
  run: async (target) => {
    const client = await target.client();
    client.send({ type: "join", room: "lobby" });
    client.send({ type: "history", room: "lobby", since });
    return (await client.nextOfType("error")).code;
  },
}));

const strangePages: Case[] = STRANGE_POSITIONS.map((since) => ({
  name: `history since ${since}, which is of no log`,
  answer: "history",
  run: async (target) => {
    const client = await target.client();
    client.send({ type: "join", room: "lobby" });
    client.send({ type: "history", room: "lobby", since });
    return (await client.nextOfType("history")).type;
  },
}));

const limits: Case[] = [1, 2, 999, 1000].map((limit) => ({
  name: `history with large messages, ${limit} at most`,
  answer: { fits: true, goesOn: true },
  run: async (target) => {
    const client = await target.client();
    client.send({ type: "join", room: "large" });
    await client.nextOfType("joined");
    for (let i = 0; i < 4; i++) {
      client.send({ type: "room_message", room: "large", data: "x".repeat(600_000) });
      await client.nextOfType("message");
    }
    client.send({ type: "history", room: "large", limit });
    const page = await client.nextOfType("history");
    return { fits: JSON.stringify(page).length < 1_800_000, goesOn: typeof page.next === "string" };
  },
}));

function resume(name: string, rooms: unknown, answer: unknown): Case {
  return {
    name,
    answer,
    run: async (target) => {
      const client = await target.client("user=mallory", ["roomcast.v1"]);
      client.send({ type: "resume", rooms });
      for (;;) {
        const frame = await client.nextJson();
        if (frame.type === "error") return frame.code;
        if (frame.type === "joined") return frame.recovered;
      }
    },
  };
}

const resumes: Case[] = [
  ...NO_POSITIONS.map((position) =>
    resume(`a resume from ${shown(position)}`, { lobby: position }, "bad_position"),
  ),
  ...[0, 1, false, [], {}, [[]], { toString: 1 }].map((position) =>
    resume(`a resume from ${shown(position)}`, { lobby: position }, "bad_position"),
  ),
  ...STRANGE_POSITIONS.map((position) =>
    resume(`a resume from ${position}, which is of no log`, { lobby: position }, false),
  ),
  ...["", "\u0000", "{", "a}", "x".repeat(257), "a\u007f", "\u0085", "é".repeat(129), "a\nb"].map(
    (room) => resume(`a resume of the room ${shown(room)}`, { [room]: "0" }, "bad_room"),
  ),
  resume(
    "a resume of 101 rooms",
    Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`r${i}`, "0"])),
    "bad_frame",
  ),
  resume(
    "a resume of 10,000 rooms",
    Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`r${i}`, "0"])),
    "bad_frame",
  ),
  resume("a resume of the room __proto__", JSON.parse('{"__proto__":"0"}'), true),
  resume("a resume of the room constructor", { constructor: "0" }, true),
];

function second(name: string, frames: readonly unknown[], answer: unknown): Case {
  return {
    name,
    answer,
    run: async (target) => {
      const client = await target.client("user=mallory", ["roomcast.v1"]);
      for (const frame of frames) client.send(JSON.stringify(frame));
      return (await client.nextOfType("error")).code;
    },
  };
}

const seconds: Case[] = [
  second("a second resume", [{ type: "resume" }, { type: "resume" }], "late_resume"),
  second(
    "a resume after a message",
    [
      // One that is understood: what is refused of it would be an error too.
      { type: "message", data: { type: "ping" } },
      { type: "resume", rooms: { "": "0" } },
    ],
    "bad_room",
  ),
  second(
    "resumes without end",
    [
      ...Array<unknown>(20).fill({
        type: "resume",
        more: true,
        rooms: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`r${i}`, null])),
      }),
      { type: "resume", rooms: [] },
    ],
    "bad_frame",
  ),
  second("a leave of a room that is none", [{ type: "leave", room: "" }], "bad_room"),
  second("a join of a room that is none", [{ type: "join", room: "{" }], "bad_room"),
];

export const history: Family = {
  name: "history and resume",
  tried:
    "positions that are none, or of no log; rooms without end; second resumes; pages of the largest messages there may be",
  answered:
    "`bad_position`, `bad_room`, `bad_frame`, `late_resume`, `recovered: false`; a page of about 1 MiB and `next`",
  start: () => Target.start(),
  cases: [...pages, ...strangePages, ...limits, ...resumes, ...seconds],
};
