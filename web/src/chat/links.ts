/** A piece of a message: plain text, or an address that can be followed. */
export interface Part {
  /** Where it begins in the message. */
  from: number;
  text: string;
  href?: string;
}

/** Up to the next white space or quotation mark. Other schemes, such as javascript:, are text. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/giu;

/** Finds the addresses of the web in a message; the parts together are the message. */
export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  const add = (to: number, href?: string) => {
    if (to > from) parts.push({ from, text: text.slice(from, to), ...(href && { href }) });
    from = to;
  };
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutEnd(match[0]);
    if (!URL.canParse(address)) continue;
    add(match.index);
    add(match.index + address.length, new URL(address).href);
  }
  add(text.length);
  return parts;
}

/** What ends a sentence is no part of an address in it; nor is a bracket that was opened before it. */
function withoutEnd(address: string): string {
  let end = address.length;
  while (/[.,;:!?]/.test(address.charAt(end - 1)) || isStrayBracket(address.slice(0, end))) end--;
  return address.slice(0, end);
}

function isStrayBracket(address: string): boolean {
  return address.endsWith(")") && address.split("(").length < address.split(")").length;
}
