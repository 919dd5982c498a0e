/**
 * Whether `name` fits `pattern`, in which `*` stands for any characters. Linear: `*` alone needs no
 * backtracking.
 */
export function fitsPattern(name: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, from);
    if (found === -1) return false;
    from = found + part.length;
  }
  return name.length - from >= last.length && name.endsWith(last);
}
