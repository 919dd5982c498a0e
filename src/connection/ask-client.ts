import type { Dialect } from "../inbound/dialect.ts";
import { ConnectionClosedError, WebSocketError } from "../protocol/errors.ts";
import { checkSetting, duration } from "../protocol/setting.ts";
import type { CloseInfo, ConnectionState } from "./connection.ts";

const TIMEOUT = duration("", 30_000, { minMs: 1, maxMs: 600_000 });

/** What asking needs of a connection. */
interface Asked {
  readonly dialect: Dialect | null;
  readonly state: ConnectionState;
  readonly closeInfo: CloseInfo | null;
}

/** See `Connection.request`. */
export async function askClient(
  { dialect, state, closeInfo }: Asked,
  data: unknown,
  timeoutMs: number | undefined,
): Promise<unknown> {
  const patience = checkSetting("timeoutMs", timeoutMs, TIMEOUT);
  if (data === undefined) throw new TypeError("data must be a JSON value, not undefined.");
  if (dialect === null) {
    const message = "Only a client that speaks roomcast.v1 can be asked.";
    throw new WebSocketError(message, { code: "not_supported" });
  }
  if (state !== "open") throw new ConnectionClosedError(closeInfo?.code ?? 1006);
  return dialect.request(data, patience);
}
