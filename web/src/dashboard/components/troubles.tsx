import type { JSX } from "preact";
import type { Counts, Troubles as Lately } from "../../../../src/cli/cluster-view.ts";
import { count } from "../../../../src/cli/figures.ts";
import { Table } from "./table.tsx";

const CLOSES: Record<string, string> = {
  1000: "by the client or the application",
  1001: "page left",
  1005: "by the client, without a code",
  1006: "gone without a word",
  1008: "broke the rules",
  1009: "message too large",
  1011: "a handler failed",
  1012: "restart",
  4008: "too many connections of a user",
  4401: "credential ended",
  4403: "forbidden",
  4408: "no answer to pings",
  4409: "replaced",
  4413: "slow reader",
  4429: "sent too fast",
};
const REFUSALS: Record<string, string> = {
  400: "no handshake",
  401: "no valid credential",
  403: "forbidden, or a foreign origin",
  404: "no such path",
  408: "too slow",
  429: "too many from one address",
  503: "draining or full",
};

/** What went wrong in the last five minutes. */
export function Troubles({ troubles }: { troubles: Lately }): JSX.Element {
  return (
    <div class="panels">
      <Table
        title="Closed, last 5 minutes"
        columns={["Code", "#Connections"]}
        nothing="No connection has ended."
        rows={rowsOf(troubles.closed, (code) => `${code} ${CLOSES[code] ?? ""}`)}
      />
      <Table
        title="Refused, last 5 minutes"
        columns={["Status", "#Handshakes"]}
        nothing="No handshake was refused."
        rows={rowsOf(troubles.refused, (status) => `${status} ${REFUSALS[status] ?? ""}`)}
      />
      <Table
        title="Other troubles, last 5 minutes"
        columns={["What", "#Times"]}
        nothing="None."
        rows={[
          ...rowsOf(troubles.errors, (stage) => `errors in ${stage}`),
          ...rowsOf(troubles.others, (name) => name),
        ]}
      />
    </div>
  );
}

function rowsOf(counts: Counts, name: (key: string) => string) {
  return Object.entries(counts).map(([key, value]) => ({ key, cells: [name(key), count(value)] }));
}
