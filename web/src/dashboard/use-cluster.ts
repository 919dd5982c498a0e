import { useEffect, useRef, useState } from "preact/hooks";
import { WebSocketClient } from "roomcast/client";
import { Cluster } from "../../../src/cli/cluster-view.ts";
import type { InstanceReport } from "../../../src/cli/instance-report.ts";
import { operatorKey } from "./operator.ts";

export type Link = "connecting" | "connected" | "lost";

const TICK_MS = 1000;

/** The cluster as the server tells of it, by the product's own client; changes once a second. */
export function useCluster(): { cluster: Cluster; link: Link; now: number } {
  const { current: cluster } = useRef(new Cluster());
  const [link, setLink] = useState<Link>("connecting");
  const [now, setNow] = useState(Date.now());

  useEffect(() => {
    const url = new URL("/dashboard/ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const key = operatorKey();
    const client = new WebSocketClient(url.href, {
      config: { reconnectMaxAttempts: 0, reconnectBackoffMaxMs: 5000 },
      ...(key !== null && { token: key }),
    });
    client.on("open", () => setLink("connected"));
    client.on("reconnecting", () => setLink("lost"));
    client.on("close", () => setLink("lost"));
    client.on("message", (message) => {
      if (typeof message === "string") cluster.hear(readReport(message), Date.now());
    });
    // A fault of one report is no reason to stop; the next one comes in a second.
    client.on("error", (error) => console.warn(error));
    client.connect().catch(() => setLink("lost"));
    const timer = setInterval(() => {
      cluster.tick(Date.now());
      setNow(Date.now());
    }, TICK_MS);
    return () => {
      clearInterval(timer);
      void client.close();
    };
  }, [cluster]);

  return { cluster, link, now };
}

/** Only instances write to us. */
function readReport(text: string): InstanceReport {
  const report: InstanceReport = JSON.parse(text);
  if (report.type !== "instance") throw new TypeError("This is no report of an instance.");
  return report;
}
