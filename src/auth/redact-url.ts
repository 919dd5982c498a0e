/**
 * Takes the tokens out of a URL that is going to be logged or shown: the value of every query
 * parameter whose name ends in "token", however it is spelled (`%74oken`, `Access_Token`), becomes
 * `REDACTED`. The rest stays as it is, and it need not be a valid URL.
 */
export function redactUrl(url: string): string {
  const start = url.indexOf("?") + 1;
  if (start === 0) return url;
  const parameters = url.slice(start).split("&").map(redactParameter);
  return url.slice(0, start) + parameters.join("&");
}

function redactParameter(parameter: string): string {
  const [written = ""] = parameter.split("=", 1);
  // Decoded exactly as the reader of the token decodes it.
  const [name = ""] = new URLSearchParams(written).keys();
  const isToken = written !== parameter && name.toLowerCase().endsWith("token");
  return isToken ? `${written}=REDACTED` : parameter;
}
