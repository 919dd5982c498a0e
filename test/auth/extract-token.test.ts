import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ExtractedToken, extractToken } from "../../src/auth.ts";
import { AuthenticationError } from "../../src/protocol/errors.ts";
import { type RequestReader, requestReader } from "../support/raw-request.ts";

let reader: RequestReader;

beforeAll(async () => {
  reader = await requestReader();
});

afterAll(() => reader.dispose());

async function receive(target: string, ...headers: string[]): Promise<IncomingMessage> {
  const request = await reader.read(target, headers);
  if (request === null) throw new Error("Node refused the request");
  return request;
}

const none: ExtractedToken = { token: null, source: null, subprotocol: null };
const query: ExtractedToken = { token: "abc", source: "query", subprotocol: null };
const header: ExtractedToken = { token: "abc", source: "authorization", subprotocol: null };
const protocol: ExtractedToken = { token: "abc", source: "subprotocol", subprotocol: "bearer" };
const apiKey: ExtractedToken = { token: "abc", source: "apiKeyHeader", subprotocol: null };
const bearerOnly: ExtractedToken = { ...none, subprotocol: "bearer" };

describe("the token of a request", () => {
  const cases: Record<string, [readonly [target: string, ...headers: string[]], ExtractedToken]> = {
    "is null where there is none": [["/ws"], none],
    "may stand in the query": [["/ws?token=abc"], query],
    "may stand among other parameters": [["/ws?room=a&token=abc&x"], query],
    "may stand in the query of an absolute target": [["http://host/ws?token=abc"], query],
    "may stand in the query of a target that is no valid URL": [["//[?token=abc"], query],
    "may have its parameter's name encoded": [["/ws?%74oken=abc"], query],
    "may be encoded": [["/ws?token=%61bc"], query],
    "may have broken encoding": [["/ws?token=%zz"], { ...query, token: "%zz" }],
    "does not reach into the fragment": [["/ws?token=abc#def"], query],
    "is not looked for in the fragment": [["/ws#?token=abc"], none],
    "may hold a question mark": [["/ws?token=a?b"], { ...query, token: "a?b" }],
    "has its parameter in small letters": [["/ws?Token=abc"], none],
    "is not a parameter that only ends like it": [["/ws?mytoken=abc"], none],
    "is not a parameter behind two question marks": [["/ws??token=abc"], none],

    "may stand in Authorization": [["/ws", "Authorization: Bearer abc"], header],
    "may have its scheme in small letters": [["/ws", "authorization: bearer abc"], header],
    "may have its scheme in any letters": [["/ws", "AUTHORIZATION: bEaReR abc"], header],
    "may stand behind more than one space": [["/ws", "Authorization: Bearer   abc  "], header],
    "may stand behind a tab": [["/ws", "Authorization: Bearer\tabc"], header],
    "may hold a space, for its reader to refuse": [
      ["/ws", "Authorization: Bearer a b"],
      { ...header, token: "a b" },
    ],
    "has no other scheme": [["/ws", "Authorization: Basic YWJjOmFiYw=="], none],
    "has no scheme that only begins like it": [["/ws", "Authorization: Bearers abc"], none],
    "is not the scheme": [["/ws", "Authorization: Bearer"], none],
    "is not without a scheme": [["/ws", "Authorization: abc"], none],
    "is not an empty Authorization": [["/ws", "Authorization:"], none],

    "may stand in the subprotocols": [["/ws", "Sec-WebSocket-Protocol: bearer, abc"], protocol],
    "may stand there without a space": [["/ws", "Sec-WebSocket-Protocol: bearer,abc"], protocol],
    "may stand before other subprotocols": [
      ["/ws", "Sec-WebSocket-Protocol: bearer, abc, roomcast.v1"],
      protocol,
    ],
    "may stand behind other subprotocols": [
      ["/ws", "Sec-WebSocket-Protocol: chat, roomcast.v1, bearer, abc"],
      protocol,
    ],
    "may stand in a second header of subprotocols": [
      ["/ws", "Sec-WebSocket-Protocol: roomcast.v1", "Sec-WebSocket-Protocol: bearer, abc"],
      protocol,
    ],
    "may be spread over two headers of subprotocols": [
      ["/ws", "Sec-WebSocket-Protocol: bearer", "Sec-WebSocket-Protocol: abc"],
      protocol,
    ],
    "is absent where bearer is the last subprotocol": [
      ["/ws", "Sec-WebSocket-Protocol: roomcast.v1, bearer"],
      bearerOnly,
    ],
    "is absent where nothing stands behind bearer": [
      ["/ws", "Sec-WebSocket-Protocol: bearer, ,abc"],
      bearerOnly,
    ],
    "is not among other subprotocols": [["/ws", "Sec-WebSocket-Protocol: chat, abc"], none],
    "is not behind Bearer, for subprotocols have their case": [
      ["/ws", "Sec-WebSocket-Protocol: Bearer, abc"],
      none,
    ],

    "may stand in X-API-Key": [["/ws", "X-API-Key: abc"], apiKey],
    "may stand in x-api-key": [["/ws", "x-api-key:abc"], apiKey],

    "is absent if its parameter is empty": [["/ws?token="], none],
    "is absent if its parameter has no value": [["/ws?token"], none],
    "is absent if its parameter is blank": [["/ws?token=%20%09+"], none],
    "is absent if X-API-Key is blank": [["/ws", "X-API-Key:   "], none],
    "is the other one if one is blank": [["/ws?token=", "Authorization: Bearer abc"], header],
    "has no white space around it": [["/ws?token=+abc%0A"], query],

    "may stand in two places": [["/ws?token=abc", "Authorization: Bearer abc"], query],
    "may stand in all places": [
      [
        "/ws?token=abc",
        "Authorization: Bearer abc",
        "Sec-WebSocket-Protocol: bearer, abc",
        "X-API-Key: abc",
      ],
      { ...query, subprotocol: "bearer" },
    ],
    "may stand in one place twice": [["/ws?token=abc&token=abc"], query],
    "may stand in two headers": [
      ["/ws", "Authorization: Bearer abc", "Authorization: bearer abc"],
      header,
    ],
    "stands beside an Authorization of another kind": [
      ["/ws", "Authorization: Basic eDp5", "X-API-Key: abc"],
      apiKey,
    ],
    "may have 8 KiB": [[`/ws?token=${"x".repeat(8192)}`], { ...query, token: "x".repeat(8192) }],
  };

  for (const [name, [request, expected]] of Object.entries(cases)) {
    test(name, async () => {
      expect(extractToken(await receive(...request))).toEqual(expected);
    });
  }
});

describe("two tokens that differ are refused, so that nobody has to guess which one counts", () => {
  const cases: Record<string, readonly [target: string, ...headers: string[]]> = {
    "in the query and Authorization": ["/ws?token=abc", "Authorization: Bearer def"],
    "in the query and the subprotocols": ["/ws?token=abc", "Sec-WebSocket-Protocol: bearer, def"],
    "in Authorization and X-API-Key": ["/ws", "Authorization: Bearer abc", "X-API-Key: def"],
    "in the subprotocols and X-API-Key": [
      "/ws",
      "Sec-WebSocket-Protocol: bearer, abc",
      "X-API-Key: def",
    ],
    "in the query twice": ["/ws?token=abc&token=def"],
    "in Authorization twice, of which Node shows only one": [
      "/ws",
      "Authorization: Bearer abc",
      "Authorization: Bearer def",
    ],
    "in X-API-Key twice, which Node joins": ["/ws", "X-API-Key: abc", "X-API-Key: def"],
    "in the subprotocols twice": ["/ws", "Sec-WebSocket-Protocol: bearer, abc, bearer, def"],
    "in their case only": ["/ws?token=abc", "Authorization: Bearer ABC"],
  };

  for (const [name, request] of Object.entries(cases)) {
    test(name, async () => {
      const received = await receive(...request);
      expect(() => extractToken(received)).toThrow(
        expect.objectContaining({ name: "AuthenticationError", code: "conflicting_credentials" }),
      );
    });
  }

  test("and the error shows neither", async () => {
    const received = await receive("/ws?token=abc123", "X-API-Key: def456");
    expect(() => extractToken(received)).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/abc123|def456/) }),
    );
  });
});

describe("a token of more than 8 KiB is refused unread", () => {
  const large = "x".repeat(8193);
  const cases: Record<string, readonly [target: string, ...headers: string[]]> = {
    "in the query": [`/ws?token=${large}`],
    "in Authorization": ["/ws", `Authorization: Bearer ${large}`],
    "in the subprotocols": ["/ws", `Sec-WebSocket-Protocol: bearer, ${large}`],
    "in X-API-Key": ["/ws", `X-API-Key: ${large}`],
    "in the query, counted in bytes": [`/ws?token=%C3%BC${"x".repeat(8191)}`],
  };

  for (const [name, request] of Object.entries(cases)) {
    test(name, async () => {
      const received = await receive(...request);
      expect(() => extractToken(received)).toThrow(
        expect.objectContaining({ name: "AuthenticationError", code: "authentication_failed" }),
      );
    });
  }
});

describe("whatever a stranger sends", () => {
  test("through Node's parser, nothing but an AuthenticationError is thrown", async () => {
    const text = fc.string({ unit: "binary-ascii", maxLength: 60 }).map(withoutLineBreaks);
    const places = fc.constantFrom("Authorization", "X-API-Key", "Sec-WebSocket-Protocol");
    const value = fc.oneof(
      text,
      text.map((rest) => `Bearer ${rest}`),
      text.map((rest) => `bearer, ${rest}`),
    );
    const headers = fc.array(
      fc.tuple(places, value).map(([place, rest]) => `${place}: ${rest}`),
      { maxLength: 6 },
    );
    const target = fc.oneof(
      text.map((rest) => `/ws?token=${rest}`),
      text.map((rest) => `/ws?${rest}`),
      text,
    );
    let parsed = 0;
    await fc.assert(
      fc.asyncProperty(target, headers, async (where, lines) => {
        const request = await reader.read(where.replaceAll(" ", "+"), lines);
        if (request === null) return;
        parsed++;
        expectTokenOrRefusal(request);
      }),
      { numRuns: 300 },
    );
    expect(parsed).toBeGreaterThan(0);
  });

  test("and whatever Node might let through, nothing but an AuthenticationError is thrown", () => {
    const text = fc.string({ unit: "binary" });
    const names = fc.constantFrom("authorization", "x-api-key", "sec-websocket-protocol", "host");
    const headers = fc.array(fc.tuple(names, text).map(([name, value]) => [name, value]));
    fc.assert(
      fc.property(text, headers, (url, pairs) => {
        const request = new IncomingMessage(new Socket());
        request.url = url;
        request.rawHeaders = pairs.flat();
        expectTokenOrRefusal(request);
      }),
    );
  });

  test("a request without a target is one without a token", () => {
    const request = new IncomingMessage(new Socket());
    delete request.url;
    expect(extractToken(request)).toEqual(none);
  });
});

function expectTokenOrRefusal(request: IncomingMessage): void {
  try {
    const { token, source } = extractToken(request);
    expect(token === null).toBe(source === null);
    expect(token).not.toBe("");
  } catch (error) {
    expect(error).toBeInstanceOf(AuthenticationError);
  }
}

function withoutLineBreaks(text: string): string {
  return text.replaceAll("\r", "").replaceAll("\n", "");
}
