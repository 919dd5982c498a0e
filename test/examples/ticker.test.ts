import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { LatestPrices } from "../../examples/ticker/latest-prices.ts";
import type { PriceUpdate } from "../../examples/ticker/market.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();
const UPDATES = 200;

/** So large that a reader who does not read falls behind at once. */
function update(number: number): PriceUpdate {
  const price = String(number).padStart(100_000, "0");
  return {
    type: "price_update",
    symbol: "ACME",
    price,
    change: "0",
    change_percent: "0",
    timestamp: "",
  };
}

test("a slow reader gets the latest price when it has caught up, not all it missed, and stays connected", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const fast = await server.connect("fast");
  const slow = await server.connect("slow");
  for (const { connection } of [fast, slow]) await connection.join("stock:ACME");
  const latest = new LatestPrices(server.manager as never);
  slow.client.socket.pause();
  for (let i = 0; i < UPDATES; i++) {
    latest.publish("stock:ACME", update(i));
    expect(Number((await fast.client.nextJson()).price)).toBe(i);
    await nextTurn();
  }
  slow.client.socket.resume();
  const prices: number[] = [];
  while (prices.at(-1) !== UPDATES - 1) prices.push(Number((await slow.client.nextJson()).price));
  expect(prices.length).toBeLessThan(UPDATES);
  expect(prices).toEqual([...prices].sort((a, b) => a - b));
  latest.publish("stock:ACME", update(UPDATES));
  expect(Number((await slow.client.nextJson()).price)).toBe(UPDATES);
});
