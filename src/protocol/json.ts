/** Deeper nesting is refused before it is parsed. */
const MAX_DEPTH = 32;

export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Parses JSON text from a peer; never throws. */
export function parseJson(text: string): JsonResult {
  if (!isShallow(text)) {
    return { ok: false, code: "bad_json", message: `JSON may be nested ${MAX_DEPTH} levels deep.` };
  }
  try {
    const value: unknown = JSON.parse(text);
    return { ok: true, value };
  } catch {
    // The parser's own words quote the text, which need not go anywhere.
    return { ok: false, code: "bad_json", message: "The message is not valid JSON." };
  }
}

/** Whether brackets outside strings are nested at most `MAX_DEPTH` deep. */
function isShallow(text: string): boolean {
  if (text.length <= MAX_DEPTH) return true;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === 0x5c) i++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > MAX_DEPTH) return false;
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return true;
}
