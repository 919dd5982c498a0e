import { handshake } from "../../support/raw-handshake.ts";
import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

type Headers = Readonly<Record<string, string | readonly string[] | null>>;

function knock(
  name: string,
  status: number | null,
  headers: Headers,
  start = "GET /ws?user=mallory HTTP/1.1",
): Case {
  return {
    name,
    answer: status,
    run: async (target) => {
      const client = await target.raw();
      client.write(handshake("", headers, start));
      return (await client.answer())?.status ?? null;
    },
  };
}

function each(
  name: string,
  header: string,
  status: number | null,
  values: readonly (string | readonly string[])[],
): Case[] {
  return values.map((value) => knock(`${name} ${shown(value)}`, status, { [header]: value }));
}

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const keys = each("the key", "Sec-WebSocket-Key", 400, [
  "",
  " ",
  "=",
  "==",
  "====",
  "x",
  KEY.slice(1),
  `${KEY}=`,
  `${KEY}${KEY}`,
  KEY.replace("==", "="),
  KEY.replace("==", ""),
  "dGhlIHNhbXBsZSBub25jZ!==",
  "dGhlIHNhbXBsZSBub25j-Q==",
  "dGhlIHNhbXBsZSBub25j_Q==",
  "dGhlIHNhbXBsZSBu b25jZQ==",
  "AAAAAAAAAAAAAAAAAAAAAA=",
  "AAAAAAAAAAAAAAAAAAAAAAAA",
  "x".repeat(1000),
  "é".repeat(24),
  [KEY, KEY],
  ["", KEY],
]);

const versions = each("the version", "Sec-WebSocket-Version", 426, [
  "",
  "0",
  "1",
  "7",
  "8",
  "12",
  "14",
  "-13",
  "+13",
  "013",
  "13.0",
  "1e1",
  "0x0d",
  "13a",
  "13,13",
  "13, 8",
  "thirteen",
  "99999999999999999999",
  ["13", "13"],
  ["8", "13"],
]);

const SEPARATORS = [...'()<>@,;:\\"/[]?={}'].filter((one) => one !== ",");
const subprotocols = each("the subprotocols", "Sec-WebSocket-Protocol", 400, [
  ",",
  "a,",
  ",a",
  "a,,b",
  "a, a",
  "roomcast.v1, roomcast.v1",
  "a b",
  "é",
  "a\u007f",
  ...SEPARATORS.map((one) => `a${one}b`),
  ["a", "a"],
  ["a", ""],
]);

const origins = each("the page", "Origin", 403, [
  "null",
  "",
  " ",
  "http://",
  "https://evil.example",
  "http://localhost.evil.example",
  "http://localhost.:1",
  "http://evil@localhost:80.example",
  "http://localhost%00.evil.example",
  "http://localhost%2eevil.example",
  "file://",
  "data:text/html,x",
  "javascript:alert(1)",
  "chrome-extension://abc",
  "http://127.0.0.1.evil.example",
  "http://[::2]",
  "ws://evil.example/localhost",
  "//localhost",
  "localhost",
  "http://localhost.",
  "http://LOCALHOST.evil",
  "http://localhost, http://evil.example",
  "about:blank",
  "blob:http://evil.example/1",
  "http://xn--lcalhost-k4a",
  "http://lоcalhost",
  "http://0x7f000001",
  "http://2130706433",
  "http://localhost:65536",
  ["http://localhost", "http://evil.example"],
  ["http://evil.example", "http://localhost"],
]);

/** Development mode answers to its own names alone. */
const hosts = each("the host", "Host", 403, [
  "evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "evil.localhost.example",
  "10.0.0.1",
  "192.168.1.1",
  "0.0.0.0",
  "128.0.0.1",
  "[2001:db8::1]",
  "[::]",
  "localhost.",
  "local host",
  "localhost,evil.example",
  "evil.example#@localhost.evil",
  "[::ffff:10.0.0.1]",
  "169.254.169.254",
  "metadata.google.internal",
  "x".repeat(500),
]);

const METHODS = [
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "PROPFIND",
  "SEARCH",
  "TRACE",
  "LINK",
];
const starts: Case[] = [
  ...METHODS.map((method) =>
    knock(`the method ${method}`, 405, {}, `${method} /ws?user=mallory HTTP/1.1`),
  ),
  ...["get", "GET2", "WEBSOCKET", "", "G\u0000T", "GET\t"].map((method) =>
    knock(`the method ${shown(method)}, which there is not`, 400, {}, `${method} /ws HTTP/1.1`),
  ),
  ...["HTTP/1.0", "HTTP/0.9"].map((version) =>
    knock(`${version}`, version === "HTTP/1.0" ? 400 : 400, {}, `GET /ws ${version}`),
  ),
  ...["HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/11", "http/1.1", "XTTP/1.1", "HTTP/1", "HTTP"].map(
    (version) => knock(`the version ${version}, which there is not`, 400, {}, `GET /ws ${version}`),
  ),
  ...[
    "/",
    "/w",
    "/wss",
    "/WS",
    "/ws/x",
    "//ws",
    "/./ws",
    "/x/../ws",
    "/ws%00",
    "/%77s%2f",
    "/ws;x",
    "/ws.",
    "*",
    "http://localhost/nowhere",
    "/\\ws",
    "/ws\\",
    "/%",
    "/%zz",
    "/%ff",
    "/ws%20",
  ].map((path) => knock(`the path ${path}`, 404, {}, `GET ${path} HTTP/1.1`)),
];

const targets = ["?ws", "#/ws", "ws", "", "\\ws", "%2fws"].map((target) =>
  knock(`the target ${shown(target)}`, 400, {}, `GET ${target} HTTP/1.1`),
);

const names = [
  "%00",
  "%0a",
  "%7b",
  "%7d",
  "%1b[2J",
  "a%7f",
  "%c2%85",
  "x".repeat(257),
  "%c3%a9".repeat(129),
  "",
].map((name) => knock(`the name ${shown(name)}`, 400, {}, `GET /ws?user=${name} HTTP/1.1`));

/** Offers of other protocols: the request is answered as the one it is, which needs an upgrade. */
const offers = each("the offer", "Upgrade", 426, [
  "h2c",
  "TLS/1.0",
  "websocket2",
  "web socket",
  "xwebsocket",
  "irc/6.9",
  "h2c, TLS/1.0",
  '"websocket"',
  "websockets",
  "HTTP/2.0",
]);

const odd: Case[] = [
  knock("two hosts", 400, { Host: ["localhost", "localhost"] }),
  knock("two hosts that differ", 400, { Host: ["localhost", "evil.example"] }),
  knock("no host", 403, { Host: null }),
  knock("no key", 400, { "Sec-WebSocket-Key": null }),
  knock("no version", 426, { "Sec-WebSocket-Version": null }),
  knock("no upgrade", 426, { Upgrade: null }),
  knock("no connection", 426, { Connection: null }),
  knock("a connection that is kept", 426, { Connection: "keep-alive" }),
  knock(
    "101 headers",
    101,
    Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`X-${i}`, "x"])),
  ),
  knock("a header of 17 KiB", 431, { "X-Large": "x".repeat(17_000) }),
  knock("a target of 17 KiB", 431, {}, `GET /ws?user=${"x".repeat(17_000)} HTTP/1.1`),
  knock("a folded header", 400, { "X-Folded": "a\r\n b\r\n\tc" }),
  knock("a header with a NUL", 400, { "X-Nul": "a\u0000b" }),
  knock("a header without a name", 400, { "": "x" }),
  knock("a header with a space before its colon", 400, { "X-Space ": "x" }),
  knock("a length and chunks", 400, { "Content-Length": "5", "Transfer-Encoding": "chunked" }),
  knock("a length that is none", 400, { "Content-Length": "-1" }),
  knock("two lengths that differ", 400, { "Content-Length": ["1", "2"] }),
];

export const handshakes: Family = {
  name: "handshakes",
  tried:
    "methods, versions, keys, subprotocols, hosts, paths, names, headers and offers that RFC 6455 and RFC 9112 do not allow; pages of other sites; names that point to this machine (DNS rebinding)",
  answered: "400, 403, 404, 405, 426 or 431 before anything else",
  start: () => Target.start(),
  cases: [
    ...keys,
    ...versions,
    ...subprotocols,
    ...origins,
    ...hosts,
    ...starts,
    ...targets,
    ...names,
    ...offers,
    ...odd,
  ],
};
