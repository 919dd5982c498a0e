import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactUrl } from "../../src/auth.ts";

describe("a URL that is going to be logged", () => {
  const cases: Record<string, readonly [url: string, shown: string]> = {
    "without a query stays as it is": ["/ws/lobby", "/ws/lobby"],
    "without a token stays as it is": ["/ws?room=a%20b&x&&y=", "/ws?room=a%20b&x&&y="],
    "loses its token": ["/ws?token=abc", "/ws?token=REDACTED"],
    "loses only its token": ["/ws?a=1&token=abc&b=2", "/ws?a=1&token=REDACTED&b=2"],
    "loses all its tokens": ["/ws?token=abc&token=def", "/ws?token=REDACTED&token=REDACTED"],
    "loses a token with an encoded name": ["/ws?%74oken=abc", "/ws?%74oken=REDACTED"],
    "loses a token with an all encoded name": [
      "/ws?%74%6F%6b%65%6E=abc",
      "/ws?%74%6F%6b%65%6E=REDACTED",
    ],
    "loses a token with capital letters": ["/ws?Token=abc", "/ws?Token=REDACTED"],
    "loses an access token": ["/ws?access_token=abc", "/ws?access_token=REDACTED"],
    "loses a token that holds an equals sign": ["/ws?token=abc==&a=b", "/ws?token=REDACTED&a=b"],
    "loses a token that holds a question mark": ["/ws?token=a?b", "/ws?token=REDACTED"],
    "loses a token behind two question marks": ["/ws??token=abc", "/ws??token=REDACTED"],
    "loses the token of a full address": [
      "wss://host:8000/ws?token=abc",
      "wss://host:8000/ws?token=REDACTED",
    ],
    "keeps a token without a value": ["/ws?token&x=1", "/ws?token&x=1"],
    "keeps parameters that only begin with token": ["/ws?tokens=3", "/ws?tokens=3"],
    "need not be a valid one": ["//[?%zz&token=abc", "//[?%zz&token=REDACTED"],
    "may be empty": ["", ""],
  };

  for (const [name, [url, shown]] of Object.entries(cases)) {
    test(name, () => {
      expect(redactUrl(url)).toBe(shown);
    });
  }

  test("shows no token that could be read from it, however its name is spelled", () => {
    const spelled = fc
      .tuple(...[..."token"].map((letter) => fc.constantFrom(letter, encoded(letter))))
      .map((letters) => letters.join(""));
    const text = fc.webQueryParameters();
    fc.assert(
      fc.property(spelled, text, text, (name, before, after) => {
        const url = `/ws?${before}&${name}=s3cr3t-t0k3n&${after}`;
        expect(new URL(url, "http://host").searchParams.has("token")).toBe(true);
        expect(redactUrl(url)).not.toContain("s3cr3t-t0k3n");
      }),
    );
  });

  test("is any text, and stays as it is if it has no query", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (url) => {
        const shown = redactUrl(url);
        if (!url.includes("?")) expect(shown).toBe(url);
        expect(redactUrl(shown)).toBe(shown);
      }),
    );
  });
});

function encoded(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`;
}
