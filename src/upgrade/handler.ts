import type { IncomingMessage as HttpRequest } from "node:http";
import type { Principal } from "../auth/authenticator.ts";
import type { Connection, IncomingMessage } from "../connection/connection.ts";
import type { Receipt } from "../connection/receipt.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { CloseInfo } from "../server/events.ts";

/** What a handler knows besides its connection. */
export interface Context<P = Record<string, string>> {
  /** The parameters of the path. */
  readonly params: P;
  readonly query: URLSearchParams;
  /** The request that was upgraded. */
  readonly request: HttpRequest;
  /** Who it comes from; null on public routes and for anonymous clients. */
  readonly principal: Principal | null;
}

/**
 * Called as things happen. Messages come one after another: a promise holds back the next. One that
 * throws reaches the `error` event and the client as an `error` frame with a constant text, and the
 * connection stays open; `open` that throws closes it with 1011.
 */
export interface HandlerObject<P = Record<string, string>, M = IncomingMessage> {
  open?(connection: Connection<M>, context: Context<P>): unknown;
  message?(connection: Connection<M>, message: M, context: Context<P>): unknown;
  close?(connection: Connection<M>, info: CloseInfo, context: Context<P>): unknown;
}

/** For `for await` loops. Returning leaves the connection open; throwing closes it with 1011. */
export type HandlerFunction<P = Record<string, string>, M = IncomingMessage> = (
  connection: Connection<M>,
  context: Context<P>,
) => unknown;

export type Handler<P = Record<string, string>, M = IncomingMessage> =
  | HandlerObject<P, M>
  | HandlerFunction<P, M>;

/** A handler whose path and schema are its route's concern. */
export type AnyHandler = Handler<Record<string, string>, unknown>;

/** What a client is told when a handler failed: never what went wrong inside. */
const FAILED = {
  code: "internal_error",
  message: "The message could not be handled.",
};

/**
 * Runs a handler for one connection. Resolves when the connection has ended and the handler with it;
 * never rejects.
 */
export async function runHandler(
  handler: AnyHandler,
  connection: ServerConnection,
  context: Context,
  report: (error: unknown, stage: string) => void,
): Promise<void> {
  const closed = new Promise<CloseInfo>((resolve) => connection.on("close", resolve));
  const fatal = (error: unknown): void => {
    report(error, "handler");
    connection.end(CloseCode.serverError, "internal error");
  };
  if (typeof handler === "function") {
    try {
      await handler(connection, context);
    } catch (error) {
      fatal(error);
    }
    connection.ignoreRest();
    await closed;
    return;
  }
  try {
    // Not awaited where it need not be: messages may come in the same turn.
    const opened = handler.open?.(connection, context);
    if (opened instanceof Promise) await opened;
  } catch (error) {
    fatal(error);
  }
  if (handler.message === undefined) connection.ignoreRest();
  else consume(handler, connection, context, report);
  const info = await closed;
  await new Promise<void>((resolve) => connection.whenIdle(resolve));
  try {
    await handler.close?.(connection, info, context);
  } catch (error) {
    report(error, "handler");
  }
}

function consume(
  handler: HandlerObject<Record<string, string>, unknown>,
  connection: ServerConnection,
  context: Context,
  report: (error: unknown, stage: string) => void,
): void {
  const failed = (error: unknown, receipt: Receipt | null): void => {
    report(error, "handler");
    if (receipt === null) connection.tell({ type: "error", ...FAILED });
    else receipt.failed(FAILED.code, FAILED.message);
  };
  connection.consume((message, receipt) => {
    try {
      const result = handler.message?.(connection, message, context);
      if (!(result instanceof Promise)) return receipt?.done(result);
      return result.then(
        (answer) => receipt?.done(answer),
        (error) => failed(error, receipt),
      );
    } catch (error) {
      return failed(error, receipt);
    }
  });
}
