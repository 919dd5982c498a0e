import { type Case, type Family, shown } from "../family.ts";
import { KEY, Target } from "../target.ts";
import { VALUES } from "./messages.ts";

type Headers = Readonly<Record<string, string>>;
const KEYED: Headers = { Authorization: `Bearer ${KEY}` };

function call(
  name: string,
  start: string,
  answer: unknown,
  body = "",
  headers: Headers = KEYED,
): Case {
  return {
    name,
    answer,
    run: async (target) => {
      const said = await target.request(start, headers, body);
      const error = said?.body.startsWith("{") ? JSON.parse(said.body).error : undefined;
      return error === undefined ? said?.status : [said?.status, error];
    },
  };
}

/** Each has an address of its own, or the fifth would lock out the others. */
function wrongKey(name: string, headers: Headers, status: unknown, i: number): Case {
  return call(`the key ${name}`, "GET /ws/stats", status, "", {
    ...headers,
    "X-Forwarded-For": `192.0.2.${i}`,
  });
}

const WRONG = [
  "x",
  "x".repeat(32),
  KEY.slice(1),
  `${KEY}0`,
  `0${KEY}`,
  KEY.toUpperCase(),
  KEY.slice(0, -1),
  `${KEY.slice(0, -1)}g`,
  "\u00e9".repeat(16),
  "x".repeat(8000),
  "undefined",
  "null",
  "[object Object]",
  "true",
  `${KEY},${KEY}`,
  `"${KEY}"`,
];
const keys: Case[] = [
  ...WRONG.flatMap((key, i) => [
    wrongKey(
      `${shown(key)}, as a bearer`,
      { Authorization: `Bearer ${key}` },
      [401, "unauthorized"],
      i,
    ),
    wrongKey(`${shown(key)}, in X-API-Key`, { "X-API-Key": key }, [401, "unauthorized"], 50 + i),
  ]),
  ...["Basic", "Bearer2", "Token", "ApiKey", ""].map((scheme, i) =>
    wrongKey(
      `with the scheme ${shown(scheme)}`,
      { Authorization: `${scheme} ${KEY}` },
      [401, "unauthorized"],
      100 + i,
    ),
  ),
  wrongKey("in a cookie", { Cookie: `key=${KEY}` }, [401, "unauthorized"], 120),
  wrongKey(
    "beside another",
    { Authorization: `Bearer ${KEY}`, "X-API-Key": "another-key-of-good-length" },
    [400, "conflicting_credentials"],
    121,
  ),
  call("the key in the query", `GET /ws/stats?token=${KEY}`, [401, "unauthorized"], "", {}),
  call("no key", "GET /ws/stats", [401, "unauthorized"], "", {}),
];

const ROUTES = [
  "POST /api/broadcast",
  "POST /api/rooms/a/messages",
  "GET /api/rooms/a/history",
  "GET /api/rooms/a/users",
  "POST /api/users/a/messages",
  "GET /api/users/a",
  "DELETE /api/users/a/connections",
];
const unkeyed = ROUTES.map((route) =>
  call(`${route} without a key`, route, [401, "unauthorized"], "", {}),
);

const POSTS = ROUTES.filter((route) => route.startsWith("POST"));
const NO_JSON = [
  "",
  "{",
  "nul",
  "'x'",
  '{"data":}',
  "\u0000",
  "data=1",
  "<x/>",
  '{"data":1}{}',
  "[".repeat(100_000),
  `${"[".repeat(40)}${"]".repeat(40)}`,
];
const NO_MESSAGES = ["null", "1", '"x"', "[]", "true", '[{"data":1}]'];
const bodies = POSTS.flatMap((route) => [
  ...NO_JSON.map((body) => call(`${route} with ${shown(body)}`, route, [400, "bad_json"], body)),
  ...NO_MESSAGES.map((body) =>
    call(`${route} with ${shown(body)}`, route, [400, "bad_message"], body),
  ),
  call(`${route} without data`, route, [400, "bad_field"], "{}"),
  call(
    `${route} with data in the prototype`,
    route,
    [400, "bad_field"],
    '{"__proto__":{"data":1}}',
  ),
  call(`${route} with 2 MiB`, route, [413, "message_too_large"], `"${"x".repeat(2_097_152)}"`),
  ...VALUES.flatMap((value) => [
    call(
      `${route} with ${shown(value)} as from`,
      route,
      [400, "bad_field"],
      JSON.stringify({ data: 1, from: value }),
    ),
    ...(typeof value === "boolean"
      ? []
      : [
          call(
            `${route} with ${shown(value)} as persist`,
            route,
            [400, "bad_field"],
            JSON.stringify({ data: 1, persist: value }),
          ),
        ]),
  ]),
]);

const NO_NAMES = [
  "%00",
  "%0a",
  "%7b",
  "%7d",
  "a%7f",
  "%c2%85",
  "x".repeat(257),
  "%c3%a9".repeat(129),
];
const names = NO_NAMES.flatMap((name) =>
  ["rooms/NAME/history", "rooms/NAME/users", "users/NAME"].map((path) =>
    call(`${path} of ${shown(name)}`, `GET /api/${path.replace("NAME", name)}`, [400, "bad_field"]),
  ),
);
const encodings = ["%", "%zz", "%ff", "%c3", "%ed%a0%80"].map((name) =>
  call(`the user ${name}, which is no text`, `GET /api/users/${name}`, [404, "not_found"]),
);

const queries = [
  ...["0", "-1", "1.5", "x", "", "1e9", "10001", "NaN", "Infinity", "0x1g", "%00", "1,2"].map(
    (limit): [string, string] => ["limit", limit],
  ),
  ...[
    "x",
    "1",
    "1-1",
    "1-1~",
    "-1-1~x",
    "1-1~x%20y",
    "%00",
    "1e3-0~x",
    "9".repeat(100),
    `1-1~${"x".repeat(33)}`,
    "~",
    "$",
    "*",
    "+",
    "1-1~x%0a",
  ].map((since): [string, string] => ["since", since]),
].map(([field, value]) =>
  call(`history with the ${field} ${shown(value)}`, `GET /api/rooms/a/history?${field}=${value}`, [
    400,
    "bad_field",
  ]),
);

const methods = ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"].flatMap((method) =>
  ROUTES.map((route) => {
    const path = route.slice(route.indexOf(" ") + 1);
    return call(`${method} ${path}`, `${method} ${path}`, [405, "method_not_allowed"]);
  }),
);

export const api: Family = {
  name: "the API and its keys",
  tried:
    "keys that are wrong, nearly right or in a place that does not count; bodies that are broken, nested, too large or of wrong types; names, positions, limits and methods that there are not",
  answered: "400, 401, 404, 405, 413 with a fixed code",
  start: () => Target.start({ tokens: true, env: { ROOMCAST_TRUST_PROXY: "127.0.0.1" } }),
  cases: [...keys, ...unkeyed, ...bodies, ...names, ...encodings, ...queries, ...methods],
};
