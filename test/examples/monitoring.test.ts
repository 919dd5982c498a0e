import { expect, test } from "vitest";
import { ALERTS, METRICS, Monitor } from "../../examples/monitoring/monitor.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

test("what is published or sent, under the new names or the old, reaches who watches that topic", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const metrics = await server.connect("metrics");
  const alerts = await server.connect("alerts");
  expect([METRICS, ALERTS]).toEqual(["performance:metrics", "performance:alerts"]);
  await metrics.connection.join(METRICS);
  await alerts.connection.join(ALERTS);
  const monitor = new Monitor(server.manager);
  const measured = { worker: "one", connections: 1, memoryMb: 2, eventLoopMs: 3 };
  const alert = { level: "warning", text: "slow" } as const;
  await monitor.publishMetrics(measured);
  await monitor.sendMetrics(measured);
  await monitor.publishAlert(alert);
  await monitor.sendAlert(alert);
  for (let i = 0; i < 2; i++) {
    expect(await metrics.client.nextJson()).toEqual({ type: "metrics", ...measured });
    expect(await alerts.client.nextJson()).toEqual({ type: "alert", ...alert });
  }
  expect(metrics.client.waiting).toEqual([]);
});
