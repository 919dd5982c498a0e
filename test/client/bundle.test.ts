import { join } from "node:path";
import { expect, test } from "vitest";
import * as source from "../../src/client.browser.ts";
import { repositoryRoot } from "../support/repository.ts";

/** Everything a program can name of these exports: the members of classes, inherited ones too. */
function surface(exports: Readonly<Record<string, unknown>>): unknown {
  const members = (of: object): string[] => {
    if ([Error, Error.prototype, Function.prototype, Object.prototype].includes(of)) return [];
    const own = Reflect.ownKeys(of).map(String);
    return [...own.sort(), ...members(Object.getPrototypeOf(of))];
  };
  const classes = Object.entries(exports).map(([name, value]) => {
    const { prototype } = value as { prototype?: object };
    return [name, prototype && [...members(value as object), ...members(prototype)]];
  });
  return Object.fromEntries(classes);
}

const bundled = (await import(join(repositoryRoot, "dist/roomcast-client.js"))) as typeof source;

test("the bundle for pages has every name of the API", () => {
  expect(surface(bundled)).toEqual(surface(source));
  const url = "ws://localhost/";
  const own = (client: object) => Object.entries(client);
  expect(own(new bundled.WebSocketClient(url))).toEqual(own(new source.WebSocketClient(url)));
});

test("errors are called the same in minified code", () => {
  const { ConnectionClosedError, MessageTooLargeError } = bundled;
  const closed = new ConnectionClosedError(4000, "bye");
  expect(String(closed)).toBe("ConnectionClosedError: The connection is closed: 4000 (bye).");
  expect({ ...closed }).toEqual({
    name: "ConnectionClosedError",
    code: "connection_closed",
    closeCode: 4000,
    reason: "bye",
  });
  expect(new MessageTooLargeError(2, 1)).toMatchObject({
    name: "MessageTooLargeError",
    code: "message_too_large",
    size: 2,
    limit: 1,
  });
});
