import { createServer } from "node:http";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { WebSocketRouter } from "../../src/upgrade/router.ts";

const manager = new ConnectionManager();
const make = (): WebSocketRouter => new WebSocketRouter(manager);

/** As somebody writes who is not checked by types. */
function untyped(value: unknown): never {
  return value as never;
}

describe("attach takes the HTTP server alone, and says where to find it", () => {
  test.each([
    ["an Express application", express(), "that app.listen returned"],
    ["a Fastify application", fastify(), "app.server"],
    ["a Hono application", new Hono(), "what listen or serve returned"],
    ["a NestJS application", { getHttpServer: () => {}, listen: () => {} }, "app.getHttpServer()"],
    ["nothing", undefined, "not undefined"],
    ["null", null, "not null"],
    ["a port", 8000, "not number"],
  ])("not %s", (_name, given, told) => {
    expect(() => make().attach(untyped(given))).toThrow(TypeError);
    expect(() => make().attach(untyped(given))).toThrow(told);
  });

  test("but any server of Node", () => {
    expect(() => make().attach(createServer())).not.toThrow();
  });
});

describe("a path that two routers of one server would serve is refused", () => {
  const handler = { open: () => {} };

  test.each(["/chat", "/chat/:room"])("%s, attached with it or added later", (path) => {
    const server = createServer();
    const told = `Another router of this server has a route ${path} already.`;
    make().public(path, handler).attach(server);
    const second = make().public(path, handler);
    expect(() => second.attach(server)).toThrow(TypeError);
    expect(() => second.attach(server)).toThrow(told);
    const third = make();
    third.attach(server);
    expect(() => third.public(path, handler)).toThrow(told);
  });

  test("also one that only takes another's requests, from whichever side it is added", () => {
    const server = createServer();
    const first = make();
    first.attach(server);
    make().public("/chat/lobby", handler).attach(server);
    const told =
      "The route /chat/lobby would never be reached: /chat/:room of another router of this server takes its requests.";
    expect(() => first.public("/chat/:room", handler)).toThrow(told);
    const other = createServer();
    make().public("/chat/:room", handler).attach(other);
    expect(() => make().public("/chat/lobby", handler).attach(other)).toThrow(told);
  });

  test("but not on two servers, nor what both can serve, nor a router attached twice", () => {
    const [one, two] = [createServer(), createServer()];
    const router = make().public("/chat/lobby", handler);
    for (const server of [one, two, one]) router.attach(server);
    make().public("/chat/:room", handler).attach(one);
    make().public("/news", handler).attach(two);
    expect(() => router.public("/news/today", handler)).not.toThrow();
  });
});

describe("a handler that would never be called is refused", () => {
  test.each([
    ["a method that there is not", { onMessage: () => {} }, "has onMessage, which nobody calls"],
    ["a misspelt one beside a right one", { open: () => {}, mesage: () => {} }, "mesage"],
    ["a method that is none", { message: "hello" }, "message of the handler of /a"],
  ])("%s", (_name, handler, told) => {
    expect(() => make().public("/a", untyped(handler))).toThrow(told);
  });

  test("but an instance of a class may have methods of its own", () => {
    class Chat {
      open(): void {
        this.greet();
      }
      greet(): void {}
    }
    expect(() => make().public("/a", new Chat())).not.toThrow();
  });
});

describe("a path that would never be asked for is refused", () => {
  test.each([
    ["/a?x=1", "context.query"],
    ["/a#b", "context.query"],
    ["/a/*", "no wildcards"],
    ["/caf%C3%A9", '"café"'],
    ["/100%", "hexadecimal"],
    ["/:id?", "no optional ones"],
    ["/:id(\\d+)", "no patterns"],
  ])("%s", (path, told) => {
    expect(() => make().public(path, {})).toThrow(told);
  });

  test("and so is one that an earlier one takes", () => {
    const router = new WebSocketRouter(manager, { prefix: "/ws" }).public("/rooms/:room", {});
    expect(() => router.public("/rooms/:room", {})).toThrow("a route /ws/rooms/:room already");
    expect(() => router.public("/rooms/:name", {})).toThrow("never be reached");
    expect(() => router.public("/rooms/lobby", {})).toThrow("/ws/rooms/:room takes its requests");
    expect(() => router.public("/rooms/:room/log", {})).not.toThrow();
    expect(() => make().public("/rooms/lobby", {}).public("/rooms/:room", {})).not.toThrow();
  });
});

test("an authenticate that is none is refused", () => {
  const given = { authenticate: untyped({ secret: "x" }) };
  expect(() => new WebSocketRouter(manager, given)).toThrow("authenticate must be a function");
});
