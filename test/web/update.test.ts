import { beforeEach, expect, test } from "vitest";
import type { ClientMessage, ServerMessage } from "../../web/src/chat/protocol.ts";
import {
  type ChatState,
  type ConversationKey,
  initialState,
  roomKey,
  unreadOf,
  userKey,
} from "../../web/src/chat/state.ts";
import { type ChatEvent, update } from "../../web/src/chat/update.ts";

let state: ChatState;
let sent: ClientMessage[];

beforeEach(() => {
  state = initialState("ann", ["lobby", "garden"]);
  sent = [];
});

/** Lets something happen and notes what the page sends. */
function happen(event: ChatEvent): ClientMessage[] {
  const next = update(state, event);
  state = next.state;
  sent.push(...next.send);
  return next.send;
}

const receive = (message: ServerMessage) => happen({ type: "received", message, at: 1_000 });
const connect = () => happen({ type: "status", status: { phase: "connected" } });
const lose = () => happen({ type: "status", status: { phase: "waiting", retryAt: 0 } });
const open = (key: ConversationKey) => happen({ type: "open", key });

function enter(room: string, ...users: string[]): void {
  receive({ type: "joined", room, users: ["ann", ...users] });
  receive({ type: "history", room, messages: [] });
}

function say(text: string): ClientMessage[] {
  return happen({ type: "said", data: { id: `id of ${text}`, text, at: 1 } });
}

function hear(room: string, from: string, text: string, id?: string): void {
  receive({ type: "message", room, said: { from, text, ...(id ? { id } : {}) } });
}

const conversation = (key: ConversationKey) => state.conversations.get(key);

function texts(key: ConversationKey): string[] {
  return (conversation(key)?.entries ?? []).flatMap((entry) =>
    entry.kind === "message" ? [entry.pending ? `${entry.text} …` : entry.text] : [],
  );
}

test("once connected it joins its rooms, and reads the history of each it is let into", () => {
  expect(connect()).toEqual([
    { type: "join", room: "lobby" },
    { type: "join", room: "garden" },
  ]);
  expect(receive({ type: "joined", room: "lobby", users: ["ann"] })).toEqual([
    { type: "history", room: "lobby", limit: 1_000 },
  ]);
});

test("a long history is read to its end before it is shown", () => {
  connect();
  receive({ type: "joined", room: "lobby", users: ["ann"] });
  const page = (text: string, next?: string) =>
    receive({
      type: "history",
      room: "lobby",
      messages: [{ from: "bob", text }],
      ...(next ? { next } : {}),
    });
  expect(page("first", "7")).toEqual([
    { type: "history", room: "lobby", since: "7", limit: 1_000 },
  ]);
  expect(conversation(roomKey("lobby"))?.loaded).toBe(false);
  expect(page("second")).toEqual([]);
  expect(texts(roomKey("lobby"))).toEqual(["first", "second"]);
});

test("what is said in a room is pending until the room has it", () => {
  connect();
  enter("lobby");
  expect(say("hello")).toEqual([
    {
      type: "room_message",
      room: "lobby",
      data: { id: "id of hello", text: "hello", at: 1 },
    },
  ]);
  expect(texts(roomKey("lobby"))).toEqual(["hello …"]);
  hear("lobby", "ann", "hello", "id of hello");
  expect(texts(roomKey("lobby"))).toEqual(["hello"]);
});

test("what was said while away goes out once back in the room", () => {
  say("early");
  expect(sent).toEqual([]);
  connect();
  receive({ type: "joined", room: "lobby", users: ["ann"] });
  expect(sent.filter(({ type }) => type === "room_message")).toEqual([]);
  expect(receive({ type: "history", room: "lobby", messages: [] })).toMatchObject([
    { type: "room_message", data: { text: "early" } },
  ]);
});

test("after a reconnect it sends again only what the room does not have", () => {
  connect();
  enter("lobby");
  say("arrived");
  say("lost");
  lose();
  connect();
  receive({ type: "joined", room: "lobby", users: ["ann"] });
  const messages = [{ from: "ann", text: "arrived", id: "id of arrived" }];
  expect(receive({ type: "history", room: "lobby", messages })).toMatchObject([
    { type: "room_message", data: { text: "lost" } },
  ]);
  expect(texts(roomKey("lobby"))).toEqual(["arrived", "lost …"]);
});

test("a direct message to somebody else does not come back, one to oneself does", () => {
  connect();
  open(userKey("bob"));
  expect(say("psst")).toMatchObject([{ type: "direct_message", to: "bob" }]);
  expect(texts(userKey("bob"))).toEqual(["psst"]);

  open(userKey("ann"));
  say("note");
  expect(texts(userKey("ann"))).toEqual(["note …"]);
  receive({ type: "dm", said: { from: "ann", text: "note", id: "id of note" } });
  expect(texts(userKey("ann"))).toEqual(["note"]);
});

test("a direct message said while away goes out when connected", () => {
  open(userKey("bob"));
  say("psst");
  expect(texts(userKey("bob"))).toEqual(["psst …"]);
  expect(connect()).toContainEqual(expect.objectContaining({ type: "direct_message", to: "bob" }));
  expect(texts(userKey("bob"))).toEqual(["psst"]);
});

test("a message to everyone goes to everyone and is shown there", () => {
  connect();
  open("everyone");
  expect(say("lunch")).toMatchObject([{ type: "broadcast", data: { text: "lunch" } }]);
  receive({ type: "message", said: { from: "ann", text: "lunch", id: "id of lunch" } });
  expect(texts("everyone")).toEqual(["lunch"]);
});

test("who is here follows those who come and go, each shown once", () => {
  connect();
  enter("lobby", "bob");
  const here = () => conversation(roomKey("lobby"))?.people;
  receive({ type: "user_joined", room: "lobby", user: "carl" });
  receive({ type: "user_joined", room: "lobby", user: "bob" });
  expect(here()).toEqual(["ann", "bob", "carl"]);
  receive({ type: "user_left", room: "lobby", user: "bob" });
  expect(here()).toEqual(["ann", "carl"]);
  lose();
  expect(here()).toEqual([]);
});

test("messages elsewhere, or while nobody looks, count as unread until they are seen", () => {
  connect();
  enter("lobby");
  enter("garden");
  hear("lobby", "bob", "seen");
  hear("garden", "bob", "unseen");
  receive({ type: "dm", said: { from: "bob", text: "unseen" } });
  expect(unreadOf(state)).toBe(2);
  happen({ type: "visible", visible: false });
  hear("lobby", "bob", "hidden");
  expect(unreadOf(state)).toBe(3);
  happen({ type: "visible", visible: true });
  expect(unreadOf(state)).toBe(2);
  open(roomKey("garden"));
  open(userKey("bob"));
  expect(unreadOf(state)).toBe(0);
});

test("our own words from another device are not unread", () => {
  connect();
  enter("garden");
  hear("garden", "ann", "from my phone");
  expect(unreadOf(state)).toBe(0);
});

test("leaving a room shows another one, and nothing of it arrives any more", () => {
  connect();
  enter("lobby");
  expect(happen({ type: "leave", key: roomKey("lobby") })).toEqual([
    { type: "leave", room: "lobby" },
  ]);
  expect(state.selected).toBe(roomKey("garden"));
  hear("lobby", "bob", "too late");
  expect(conversation(roomKey("lobby"))).toBeUndefined();
});

test("joining a room twice joins once and shows it", () => {
  connect();
  expect(happen({ type: "join", room: "attic" })).toEqual([{ type: "join", room: "attic" }]);
  open(roomKey("lobby"));
  expect(happen({ type: "join", room: "attic" })).toEqual([]);
  expect(state.selected).toBe(roomKey("attic"));
});

test("a room we are not let into goes away, and the reader is told", () => {
  connect();
  enter("lobby");
  enter("garden");
  happen({ type: "join", room: "vault" });
  receive({ type: "error", code: "forbidden", text: "You may not join that room." });
  expect(conversation(roomKey("vault"))).toBeUndefined();
  expect(state.problem).toBe("You may not join that room.");
  happen({ type: "dismiss" });
  expect(state).not.toHaveProperty("problem");
});

test("what the server announces is seen where the reader is", () => {
  connect();
  receive({ type: "system", text: "Restarting." });
  for (const key of ["everyone", roomKey("lobby")] as const) {
    expect(conversation(key)?.entries).toEqual([
      expect.objectContaining({ kind: "notice", text: "Restarting." }),
    ]);
  }
});

test("a sender whose clock is fast does not speak from the future", () => {
  connect();
  enter("lobby");
  receive({ type: "message", room: "lobby", said: { from: "bob", text: "hi", at: 9_999_999 } });
  expect(conversation(roomKey("lobby"))?.entries.at(-1)?.at).toBe(1_000);
});
