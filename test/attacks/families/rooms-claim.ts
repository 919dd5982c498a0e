import { type Case, type Family, shown } from "../family.ts";
import { Target, tokenFor } from "../target.ts";

/** Claims that allow nothing, whatever the room. */
const NOTHING: readonly unknown[] = [
  [],
  null,
  "lobby",
  "*",
  "",
  0,
  1,
  true,
  false,
  {},
  { 0: "*" },
  { length: 1, 0: "*" },
  { includes: true },
  { some: 1 },
  [null],
  [0],
  [true],
  [{}],
  [["*"]],
  [{ toString: "*" }],
  [{ toString: 1 }],
  [""],
];

/** A pattern, and rooms that it does not stand for although they look like it. */
const NEARLY: Readonly<Record<string, readonly string[]>> = {
  lobby: [
    "lobby2",
    "xlobby",
    "Lobby",
    "lobby ",
    " lobby",
    "lob",
    "lobby:x",
    "lobby*",
    "*",
    ".*",
    "lobb.",
    "ｌobby",
    "lobby\u200b",
    "lo\u00adbby",
  ],
  "chat:*": [
    "chat",
    "chat;x",
    "Chat:x",
    "xchat:y",
    " chat:x",
    "cha:t",
    "room:chat:x",
    "chat：x",
    "*",
    "**",
  ],
  "*:public": ["public", "x:publi", "x:public2", "x:Public", "x:public ", "x.public"],
  "a*b*c": ["abd", "ac", "cba", "acb", "xabc", "abcx", "a", "bc", "ab", "a*b*", "ABC"],
  "a.c": ["abc", "a:c", "ac", "a..c"],
  "[a-z]": ["a", "z", "a-z", "[a-z"],
  "(a|b)": ["a", "b", "a|b", "(a"],
  "a?": ["a", "ab", "?", "aa"],
  "^a$": ["a", "^a", "a$"],
  "a+": ["a", "aa", "+"],
  "\\*": ["x", "*"],
  "$&": ["$", "&"],
};

/** A pattern and a room it does stand for: the claim means what it says. */
const FITS: readonly [string, string][] = [
  ["lobby", "lobby"],
  ["chat:*", "chat:"],
  ["chat:*", "chat:a:b"],
  ["*:public", ":public"],
  ["a*b*c", "abc"],
  ["a*b*c", "axbxbxc"],
  ["*", "anything at all"],
  ["a.c", "a.c"],
  ["[a-z]", "[a-z]"],
  ["**", "x"],
  ["é*", "été".slice(0, 1)],
];

async function join(
  target: Target,
  rooms: unknown,
  room: string,
  how: "join" | "resume",
): Promise<unknown> {
  const token = tokenFor({ sub: "mallory", rooms });
  const protocols = how === "resume" ? ["roomcast.v1"] : [];
  const client = await target.client(`token=${token}`, protocols);
  client.send(how === "join" ? { type: "join", room } : { type: "resume", rooms: { [room]: "0" } });
  for (;;) {
    const answer = await client.nextJson();
    if (answer.type === "joined" || answer.type === "error") return answer.code ?? answer.type;
  }
}

function attempt(rooms: unknown, room: string, answer: string): Case[] {
  return (["join", "resume"] as const).map((how) => ({
    name: `${how} of ${shown(room)} with the claim ${shown(rooms)}`,
    answer,
    run: (target) => join(target, rooms, room, how),
  }));
}

const speaking: Case[] = NOTHING.map((rooms) => ({
  name: `a word to everybody with the claim ${shown(rooms)}`,
  answer: "forbidden",
  run: async (target) => {
    const client = await target.client(`token=${tokenFor({ sub: "mallory", rooms })}`);
    client.send({ type: "broadcast", data: 1 });
    return (await client.nextOfType("error")).code;
  },
}));

/** Without being in the room. */
const outside: Case[] = ["room_message", "history"].map((type) => ({
  name: `a ${type} to a room that was refused`,
  answer: ["forbidden", "not_a_member"],
  run: async (target) => {
    const client = await target.client(`token=${tokenFor({ sub: "mallory", rooms: ["mine"] })}`);
    client.send({ type: "join", room: "canary" });
    const refused = await client.nextOfType("error");
    client.send({ type, room: "canary", data: 1 });
    return [refused.code, (await client.nextOfType("error")).code];
  },
}));

/** A token that is renewed with fewer rooms takes the others away. */
const renewed: Case[] = [[], ["other"], "lobby", null].map((rooms) => ({
  name: `a token renewed with the claim ${shown(rooms)}`,
  answer: ["forbidden", "lobby", "left", "lobby", "not_a_member"],
  run: async (target) => {
    const client = await target.client(`token=${tokenFor({ sub: "mallory", rooms: ["lobby"] })}`, [
      "roomcast.v1",
    ]);
    client.send({ type: "resume", rooms: { lobby: "0" } });
    await client.nextOfType("joined");
    client.send({ type: "auth", token: tokenFor({ sub: "mallory", rooms }) });
    const refused = await client.nextOfType("error");
    const left = await client.nextOfType("left");
    client.send({ type: "message", data: { type: "room_message", room: "lobby", data: 1 } });
    const { code } = await client.nextOfType("error");
    return [refused.code, refused.room, left.type, left.room, code];
  },
}));

export const roomsClaim: Family = {
  name: "the `rooms` claim",
  tried:
    "rooms that a token's patterns nearly stand for, patterns that look like regular expressions, claims of wrong types, words to rooms that were refused and to everybody, tokens renewed with less",
  answered: "`forbidden`, `not_a_member`; what is held no longer is left with `left`",
  start: () => Target.start({ tokens: true }),
  cases: [
    ...NOTHING.flatMap((rooms) => attempt(rooms, "lobby", "forbidden")),
    ...Object.entries(NEARLY).flatMap(([pattern, rooms]) =>
      rooms.flatMap((room) => attempt([pattern], room, "forbidden")),
    ),
    ...FITS.flatMap(([pattern, room]) => attempt([pattern], room, "joined")),
    ...speaking,
    ...outside,
    ...renewed,
  ],
};
