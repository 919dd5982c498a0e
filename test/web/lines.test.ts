import { expect, test } from "vitest";
import { dayLabel, presenceSentence, toLines } from "../../web/src/chat/lines.ts";
import type { MessageEntry } from "../../web/src/chat/state.ts";

const MINUTE = 60_000;
const noon = new Date(2026, 2, 10, 12).getTime();
const yesterday = new Date(2026, 2, 9, 23, 59).getTime();

let nextKey = 1;

function message(from: string, at?: number): MessageEntry {
  const entry = { kind: "message" as const, key: nextKey++, from, text: "…" };
  return at === undefined ? entry : { ...entry, at };
}

const shape = (entries: MessageEntry[]) =>
  toLines(entries, noon).map((line) =>
    line.kind === "group" ? `${line.from} ${line.messages.length}` : line.kind,
  );

test("what one person says in a row belongs together, until five minutes pass", () => {
  const entries = [
    message("ann", noon),
    message("ann", noon + MINUTE),
    message("bob", noon + MINUTE),
    message("ann", noon + 2 * MINUTE),
    message("ann", noon + 7 * MINUTE),
  ];
  expect(shape(entries)).toEqual(["day", "ann 2", "bob 1", "ann 1", "ann 1"]);
});

test("each day begins with its name", () => {
  const lines = toLines([message("ann", yesterday), message("ann", noon)], noon);
  expect(lines.map((line) => (line.kind === "day" ? line.label : line.kind))).toEqual([
    "Yesterday",
    "group",
    "Today",
    "group",
  ]);
});

test("messages whose time is not known stay with those before them", () => {
  expect(shape([message("ann"), message("ann"), message("ann", noon)])).toEqual([
    "ann 2",
    "day",
    "ann 1",
  ]);
});

test("days are counted by the calendar, also over a change of the clocks", () => {
  for (let day = 1; day <= 31; day++) {
    const now = new Date(2026, 2, day, 0, 30).getTime();
    expect(dayLabel(now, now)).toBe("Today");
    expect(dayLabel(now - 31 * MINUTE, now)).toBe("Yesterday");
  }
  expect(dayLabel(new Date(2024, 11, 31).getTime(), noon)).toContain("2024");
});

test.each([
  [["ann"], [], "ann joined"],
  [["ann", "bob"], [], "ann and bob joined"],
  [["ann", "bob", "carl", "dora"], [], "ann, bob, carl and dora joined"],
  [
    ["ann", "bob", "carl", "dora", "eve"],
    ["finn"],
    "ann, bob, carl and 2 others joined, finn left",
  ],
])("%j came and %j went reads well", (joined, left, sentence) => {
  expect(presenceSentence({ joined, left })).toBe(sentence);
});
