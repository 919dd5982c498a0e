// Stock prices, a room for each symbol. Whoever keeps up gets every price, by bytes that all of them share; whoever does not
// gets the latest one when they have caught up, instead of all they missed.
//
//   npm run example ticker
import { type Connection, ConnectionManager, WebSocketRouter } from "roomcast";
import { z } from "zod";
import { servePage } from "../serve-page.ts";
import { LatestPrices } from "./latest-prices.ts";
import { Market, SYMBOLS } from "./market.ts";

const EVERY_MS = Number(process.env.EVERY_MS ?? 500);

const Request = z.object({
  action: z.enum(["subscribe", "unsubscribe"]),
  symbols: z.array(z.enum(SYMBOLS)).max(SYMBOLS.length),
});

const manager = new ConnectionManager();
const market = new Market();
const latest = new LatestPrices(manager);
const roomOf = (symbol: string): string => `stock:${symbol}`;

const router = new WebSocketRouter(manager);
router.public(
  "/stocks",
  { schema: Request },
  {
    async message(connection: Connection<unknown>, { action, symbols }) {
      for (const symbol of symbols) {
        if (action === "unsubscribe") await connection.leave(roomOf(symbol));
        else {
          await connection.join(roomOf(symbol));
          void connection.send({ type: "price", symbol, price: market.priceOf(symbol) });
        }
      }
    },
  },
);

setInterval(() => {
  const update = market.move();
  latest.publish(roomOf(update.symbol), update);
}, EVERY_MS).unref();

await servePage(manager, router, import.meta.url);
