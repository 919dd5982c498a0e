import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ConnectionStatus } from "../connection.ts";

interface ConnectionProps {
  status: ConnectionStatus;
}

const NAMES: Readonly<Record<ConnectionStatus["phase"], string>> = {
  connecting: "Connecting…",
  connected: "Connected",
  waiting: "Reconnecting",
  offline: "Offline",
  stopped: "Disconnected",
};

/** The state of the connection in a word; read out when it changes. */
export function ConnectionPill({ status }: ConnectionProps): JSX.Element {
  const latency = status.phase === "connected" ? status.latencyMs : undefined;
  return (
    <span class="pill" data-phase={status.phase} role="status">
      <span class="pill-dot" aria-hidden="true" />
      {NAMES[status.phase]}
      {latency !== undefined && (
        <span class="pill-latency" aria-hidden="true">
          {latency} ms
        </span>
      )}
    </span>
  );
}

/** What is wrong with the connection and what can be done; nothing while all is well. */
export function ConnectionBar({
  status,
  onRetry,
  onSignIn,
}: ConnectionProps & { onRetry(): void; onSignIn(): void }): JSX.Element | null {
  if (status.phase === "connected" || status.phase === "connecting") return null;
  return (
    <div class="connection-bar" data-phase={status.phase}>
      <p>
        {status.phase === "waiting" && <Countdown until={status.retryAt} />}
        {status.phase === "offline" && "You are offline. Back as soon as there is a network."}
        {status.phase === "stopped" && status.reason}
      </p>
      {status.phase === "stopped" && status.signIn && (
        <button class="button-quiet" type="button" onClick={onSignIn}>
          Sign in again
        </button>
      )}
      {status.phase !== "offline" && !(status.phase === "stopped" && status.signIn) && (
        <button class="button-quiet" type="button" onClick={onRetry}>
          {status.phase === "stopped" ? "Connect again" : "Try now"}
        </button>
      )}
    </div>
  );
}

function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return <>Connection lost. Reconnecting in {Math.max(0, Math.ceil((until - now) / 1_000))} s</>;
}
