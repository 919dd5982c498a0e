import fc from "fast-check";
import { expect, test } from "vitest";
import { append, appendArrived, appendPresence, mergeHistory } from "../../web/src/chat/entries.ts";
import { ENTRIES_KEPT, type Entry, type MessageEntry } from "../../web/src/chat/state.ts";

let nextKey = 1;

function message(text: string, fields: Partial<MessageEntry> = {}): MessageEntry {
  return { kind: "message", key: nextKey++, from: "ann", text, ...fields };
}

const texts = (entries: readonly Entry[]) =>
  entries.map((entry) => (entry.kind === "message" ? entry.text : entry.kind));

test("only the newest entries are kept", () => {
  let entries: readonly Entry[] = [];
  for (let n = 0; n <= ENTRIES_KEPT; n++) entries = append(entries, message(`${n}`));
  expect(entries).toHaveLength(ENTRIES_KEPT);
  expect(texts(entries).at(0)).toBe("1");
  expect(texts(entries).at(-1)).toBe(`${ENTRIES_KEPT}`);
});

test("our own message that comes back takes the place everybody sees it in", () => {
  const ours = message("mine", { id: "1", pending: true });
  const theirs = message("theirs", { from: "bob" });
  const entries = appendArrived([ours, theirs], message("mine", { id: "1" }));
  expect(texts(entries)).toEqual(["theirs", "mine"]);
  expect(entries.at(-1)).toMatchObject({ key: ours.key });
  expect(entries.at(-1)).not.toHaveProperty("pending");
});

test("a message that arrives twice is shown once", () => {
  const entries = [message("once", { id: "1" })];
  expect(appendArrived(entries, message("once", { id: "1" }))).toBe(entries);
});

test("another person cannot hide a message by using its id", () => {
  const entries = appendArrived(
    [message("hello", { id: "1" })],
    message("boo", { id: "1", from: "eve" }),
  );
  expect(texts(entries)).toEqual(["hello", "boo"]);
});

test("people who come and go share a line, and who is back again leaves none", () => {
  const change = (entries: readonly Entry[], user: string, here: boolean) =>
    appendPresence(entries, { user, here, key: nextKey++, at: 0 });
  let entries: readonly Entry[] = [];
  entries = change(entries, "bob", true);
  entries = change(entries, "carl", true);
  entries = change(entries, "dora", false);
  expect(entries).toEqual([expect.objectContaining({ joined: ["bob", "carl"], left: ["dora"] })]);
  entries = change(entries, "bob", false);
  entries = change(entries, "carl", false);
  entries = change(entries, "dora", true);
  expect(entries).toEqual([]);
});

test("history on a first visit is everything there is", () => {
  expect(texts(mergeHistory([], [message("a"), message("b")], 1))).toEqual(["a", "b"]);
});

test("what came in while the history was on its way is shown once, after it", () => {
  const liveFrom = nextKey;
  const live = [message("b", { id: "b" }), message("c", { id: "c" })];
  const history = [message("a", { id: "a" }), message("b", { id: "b" })];
  const merged = mergeHistory(live, history, liveFrom);
  expect(texts(merged)).toEqual(["a", "b", "c"]);
  expect(merged[1]).toMatchObject({ key: live[0]?.key });
});

test("what was missed while away comes between what was seen before and what is new", () => {
  const before = [message("a"), message("b")];
  const liveFrom = nextKey;
  const live = [message("e")];
  const history = [message("b"), message("c"), message("d")];
  expect(texts(mergeHistory([...before, ...live], history, liveFrom))).toEqual([..."abcde"]);
});

test("a message that is still to be sent stays at the end", () => {
  const waiting = message("mine", { id: "1", pending: true });
  const merged = mergeHistory([waiting], [message("a"), message("b")], nextKey);
  expect(texts(merged)).toEqual(["a", "b", "mine"]);
});

test("a message that did arrive is not pending any more", () => {
  const waiting = message("mine", { id: "1", pending: true });
  const merged = mergeHistory([waiting], [message("mine", { id: "1" })], nextKey);
  expect(merged).toEqual([expect.not.objectContaining({ pending: true })]);
});

test("wherever the connection was lost, a room reads as if it never had been", () => {
  const repeated = fc.array(fc.constantFrom("hi", "yes", "no"), { maxLength: 30 });
  const withIds = repeated.map((words) => words.map((text, index) => ({ text, id: `${index}` })));
  // Without ids, the same words again could not be told from those seen before.
  const distinct = fc.uniqueArray(fc.string(), { maxLength: 30 });
  const withoutIds = distinct.map((words) => words.map((text) => ({ text })));
  const cut = fc.nat(30);
  fc.assert(
    fc.property(fc.oneof(withIds, withoutIds), cut, cut, cut, (said, first, second, third) => {
      const [lost = 0, joined = 0, read = 0] = [first, second, third]
        .map((at) => Math.min(at, said.length))
        .sort((a, b) => a - b);
      const arrive = (from: number, to: number) =>
        said.slice(from, to).map(({ text, ...id }) => message(text, id));
      const before = arrive(0, lost);
      const liveFrom = nextKey;
      const live = arrive(joined, said.length);
      const merged = mergeHistory([...before, ...live], arrive(0, read), liveFrom);
      expect(texts(merged)).toEqual(said.map(({ text }) => text));
      expect(new Set(merged.map((entry) => entry.key)).size).toBe(said.length);
    }),
  );
});
