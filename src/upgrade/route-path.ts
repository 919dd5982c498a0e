import type { IncomingMessage } from "node:http";

/** The parameters of a path: `Params<"/chat/:room">` is `{ readonly room: string }`. */
export type Params<Path extends string> = {
  readonly [Name in ParamNames<Path>]: string;
};

type ParamNames<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? ParamName<Segment> | ParamNames<Rest>
  : ParamName<Path>;

type ParamName<Segment extends string> = Segment extends `:${infer Name}` ? Name : never;

const PARAMETER = /^:[A-Za-z_]\w*$/;

/** A path of a route, such as `/chat/:room`. A trailing slash makes no difference. */
export class RoutePath {
  /** As it was written. */
  readonly text: string;
  readonly #segments: readonly string[];
  /** The path itself, where it has no parameters. */
  readonly #plain: string | null;

  /** @throws TypeError if `path` does not begin with a slash, or no request could ever be for it. */
  constructor(path: string) {
    if (typeof path !== "string" || !path.startsWith("/")) {
      throw new TypeError(`The path of a route must begin with /, not ${JSON.stringify(path)}.`);
    }
    this.text = path;
    this.#segments = split(path);
    const names = this.#segments.filter((segment) => segment.startsWith(":"));
    this.#plain = names.length === 0 ? path : null;
    if (!names.every((name) => PARAMETER.test(name)) || new Set(names).size < names.length) {
      throw new TypeError(
        `The parameters of ${path} must have names such as :room, each another one; there are no optional ones and no patterns.`,
      );
    }
    const fault = this.#segments.map(faultOf).find((one) => one !== null);
    if (fault !== undefined)
      throw new TypeError(`The path ${path} would never be asked for: ${fault}`);
  }

  /** Whether every path that is `other` is this one too. */
  covers(other: RoutePath): boolean {
    return (
      this.#segments.length === other.#segments.length &&
      this.#segments.every(
        (segment, i) => segment.startsWith(":") || segment === other.#segments[i],
      )
    );
  }

  /** The parameters, percent-decoded, if `pathname` is this path; else null. */
  match(pathname: string): Record<string, string> | null {
    if (pathname === this.#plain) return NO_PARAMS;
    const segments = split(pathname);
    if (segments.length < this.#segments.length) return null;
    const params: Record<string, string> = Object.create(null);
    for (const [i, segment] of segments.entries()) {
      const expected = this.#segments[i];
      const actual = decode(segment);
      if (expected === undefined || actual === null) return null;
      if (!expected.startsWith(":")) {
        if (actual !== expected) return null;
      } else if (actual === "") return null;
      else params[expected.slice(1)] = actual;
    }
    return params;
  }
}

/** Why no part of a request's path is ever such a segment; null: it may be. */
function faultOf(segment: string): string | null {
  if (segment.startsWith(":")) return null;
  if (/[?#]/.test(segment))
    return "the query and the fragment are no part of it; see context.query.";
  if (segment.includes("*")) return "there are no wildcards; :name stands for one part of a path.";
  const decoded = decode(segment);
  if (decoded === segment) return null;
  return decoded === null
    ? "% must be followed by two hexadecimal digits."
    : `write it decoded, ${JSON.stringify(decoded)}.`;
}

const NO_PARAMS: Record<string, string> = Object.freeze(Object.create(null));

/**
 * The path and the query of a request's target, not decoded. Not by `new URL`, which throws at what a
 * stranger may send.
 */
export function splitTarget(request: IncomingMessage): { pathname: string; query: string } {
  const target = String(request.url);
  const end = target.indexOf("?");
  if (end < 0) return { pathname: target, query: "" };
  return { pathname: target.slice(0, end), query: target.slice(end + 1) };
}

function split(path: string): string[] {
  const segments = path.split("/").slice(1);
  if (segments.at(-1) === "") segments.pop();
  return segments;
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
