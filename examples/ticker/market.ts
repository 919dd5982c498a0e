export const SYMBOLS = ["ACME", "GLOBEX", "HOOLI", "INITECH", "UMBRELLA"] as const;

/** Decimals are text: money is no floating-point number. */
export interface PriceUpdate {
  readonly type: "price_update";
  readonly symbol: string;
  readonly price: string;
  readonly change: string;
  readonly change_percent: string;
  readonly timestamp: string;
}

/** Prices that wander, in cents; in earnest they come from an exchange. */
export class Market {
  readonly #cents: Map<string, number> = new Map(
    SYMBOLS.map((symbol, index) => [symbol, 10_000 + 2500 * index]),
  );
  #moves = 0;

  priceOf(symbol: string): string {
    return toText(this.#cents.get(symbol) ?? 0);
  }

  /** One price after the other changes a little. */
  move(): PriceUpdate {
    const symbol = SYMBOLS[this.#moves++ % SYMBOLS.length] ?? "ACME";
    const before = this.#cents.get(symbol) ?? 0;
    const change = Math.round((Math.random() - 0.5) * 0.02 * before);
    this.#cents.set(symbol, before + change);
    return {
      type: "price_update",
      symbol,
      price: toText(before + change),
      change: toText(change),
      change_percent: ((change / before) * 100).toFixed(2),
      timestamp: new Date().toISOString(),
    };
  }
}

function toText(cents: number): string {
  return (cents / 100).toFixed(2);
}
