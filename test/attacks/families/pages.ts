import type { Page } from "playwright-core";
import { launchChromium } from "../../support/chromium.ts";
import type { Client } from "../../support/client.ts";
import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

/** The chat page of somebody in the lobby, in a real browser, and who speaks there. */
const SEATS: WeakMap<
  Target,
  { readonly page: Page; readonly complaints: string[]; readonly mallory: Client }
> = new WeakMap();

const HIT = "globalThis.hit=1";
const HOSTILE: readonly string[] = [
  `<script>${HIT}</script>`,
  `<img src=x onerror=${HIT}>`,
  `<svg onload=${HIT}>`,
  `<svg><script>${HIT}</script></svg>`,
  `<iframe srcdoc="<script>parent.${HIT}</script>">`,
  `<iframe src="javascript:${HIT}">`,
  `<a href="javascript:${HIT}">x</a>`,
  `"><script>${HIT}</script>`,
  `'><img src=x onerror=${HIT}>`,
  `</p><script>${HIT}</script>`,
  `<body onload=${HIT}>`,
  `<input autofocus onfocus=${HIT}>`,
  `<details open ontoggle=${HIT}>`,
  `<video><source onerror=${HIT}>`,
  `<math href="javascript:${HIT}">`,
  `<object data="javascript:${HIT}">`,
  `<embed src="javascript:${HIT}">`,
  `<form><button formaction="javascript:${HIT}">x`,
  `<base href="//evil.example/">`,
  `<meta http-equiv="refresh" content="0;url=//evil.example">`,
  `<link rel=stylesheet href=//evil.example>`,
  `<style>@import "//evil.example";</style>`,
  `<style>*{display:none}</style>`,
  `<template><script>${HIT}</script></template>`,
  `javascript:${HIT}`,
  `data:text/html,<script>${HIT}</script>`,
  `\${${HIT}}`,
  `{{${HIT}}}`,
  `{{constructor.constructor("${HIT}")()}}`,
  `&lt;script&gt;${HIT}&lt;/script&gt;`,
  `%3Cscript%3E${HIT}%3C/script%3E`,
  `\\u003cscript\\u003e${HIT}`,
  `<scr<script>ipt>${HIT}`,
  `<SCRIPT>${HIT}</SCRIPT>`,
  `<script src=//evil.example>`,
  `<!--<script>${HIT}</script>-->`,
  `<![CDATA[<script>${HIT}</script>]]>`,
  `--><script>${HIT}</script>`,
  `]]><script>${HIT}</script>`,
  "<",
  ">",
  "&",
  '"',
  "'",
  "`",
  "</",
  "<!",
  "<?xml?>",
  "\u202eabc",
  "\u200b\u200b",
  "\u0000\u0001\u001b[2J",
  "\ud800",
  "\udfff\ud800",
  "\ufeff",
  "\u2028\u2029",
  "a\u0300".repeat(500),
  "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}".repeat(50),
  "x".repeat(50_000),
  "W".repeat(2000),
  "\n".repeat(1000),
  " ".repeat(1000),
  "__proto__",
  "constructor",
  "toString",
  "null",
  "undefined",
  "NaN",
  "[object Object]",
  "%s%n%d",
  "../../etc/passwd",
  "' OR 1=1--",
];

/** What the page shows of a text is that text, and nothing of it ran. */
const texts: Case[] = HOSTILE.map((text) => ({
  name: `the text ${shown(text)}`,
  answer: { shown: true, ran: false, complaints: [] },
  run: (target) => show(target, (mark) => ({ text: `${mark} ${text}` })),
}));

const TIMES: readonly unknown[] = [
  1e300,
  -1e300,
  8.64e15,
  -8.64e15,
  8.64e15 + 2,
  0,
  -1,
  0.5,
  1e21,
  Number.MIN_VALUE,
  null,
  "now",
  [],
  {},
  true,
];
const times: Case[] = TIMES.map((at) => ({
  name: `the time ${shown(at)}`,
  answer: { shown: true, ran: false, complaints: [] },
  run: (target) => show(target, (mark) => ({ text: `${mark} at`, at })),
}));

const IDS: readonly unknown[] = [
  "",
  "x",
  0,
  null,
  [],
  {},
  "__proto__",
  "constructor",
  { toString: 1 },
  "x".repeat(10_000),
];
const ids: Case[] = IDS.map((id) => ({
  name: `the id ${shown(id)}`,
  answer: { shown: true, ran: false, complaints: [] },
  run: (target) =>
    show(target, (mark) => ({
      text: `${mark} id`,
      id: typeof id === "string" ? `${id}${mark}` : id,
    })),
}));

const DATA: readonly ((mark: string) => unknown)[] = [
  (mark) => mark,
  (mark) => [mark],
  (mark) => ({ text: [mark] }),
  (mark) => ({ text: { toString: mark } }),
  (mark) => ({ [mark]: 1 }),
  (mark) => ({ toString: mark }),
  (mark) => ({ __html: mark }),
  (mark) => ({ dangerouslySetInnerHTML: { __html: mark } }),
  (mark) => ({ type: "div", props: { children: mark } }),
  (mark) => ({ constructor: undefined, type: "script", props: {}, text: 1, mark }),
  (mark) => [[[[mark]]]],
  (mark) => ({ text: null, mark }),
  (mark) => ({ at: 1, mark }),
];
const shapes: Case[] = DATA.map((make) => ({
  name: `data like ${shown(make("mark"))}`,
  answer: { shown: true, ran: false, complaints: [] },
  run: (target) => show(target, make),
}));

let marks = 0;

/** Says something in the room the page shows, and looks at what becomes of it. */
async function show(target: Target, make: (mark: string) => unknown): Promise<unknown> {
  const seat = SEATS.get(target);
  if (seat === undefined) throw new Error("The page is not open.");
  const { page, complaints, mallory } = seat;
  const mark = `mark${++marks}.`;
  mallory.send({ type: "room_message", room: "lobby", data: make(mark) });
  const message = page.locator(".message").filter({ hasText: mark });
  await message.first().waitFor();
  const found = await message.first().textContent();
  const ran = await page.evaluate(() => "hit" in globalThis);
  return { shown: found?.includes(mark), ran, complaints: complaints.splice(0) };
}

export const pages: Family = {
  name: "hostile strings in pages",
  tried:
    "markup, scripts, times, ids and objects in what others say, shown by the chat page in Chromium",
  answered: "shown as the text it is; nothing of it runs, and the page goes on",
  async start() {
    const target = await Target.start();
    const chromium = await launchChromium();
    const page = await chromium.browser.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    await page.goto(target.server.url);
    await page.getByLabel("Your name").fill("reader");
    await page.getByRole("button", { name: "Join the chat" }).click();
    await page.getByText("Only you are here").waitFor();
    const mallory = await target.client("user=mallory", [], "keep");
    mallory.send({ type: "join", room: "lobby" });
    await mallory.nextOfType("joined");
    SEATS.set(target, { page, complaints, mallory });
    target.alsoDispose(() => chromium.dispose());
    return target;
  },
  cases: [...texts, ...times, ...ids, ...shapes],
};
