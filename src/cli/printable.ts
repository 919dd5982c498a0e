/** C0 but tab, DEL, C1, and what turns the direction of text or breaks its lines: a terminal would obey them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNSAFE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text as a line that a terminal shows and does not obey: what it would obey is escaped, as in JSON. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
