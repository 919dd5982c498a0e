/**
 * Refuses options that do not exist: a misspelt one would be ignored in silence.
 *
 * @param of what they are options of, for the message
 * @throws TypeError naming the option and those there are
 */
export function checkOptions(of: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    const found = options === null ? "null" : typeof options;
    throw new TypeError(`The options of ${of} must be an object, not ${found}.`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new TypeError(`${of} has no option ${name}; there are ${known.join(", ")}.`);
  }
}
