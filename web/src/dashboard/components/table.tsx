import type { ComponentChildren, JSX } from "preact";

/** A table with a title that says so when there is nothing in it. */
export function Table({
  title,
  columns,
  rows,
  nothing,
}: {
  title: string;
  /** Those of numbers begin with `#`. */
  columns: readonly string[];
  rows: readonly { key: string; mood?: "bad" | "unknown"; cells: readonly ComponentChildren[] }[];
  nothing: string;
}): JSX.Element {
  return (
    <section class="panel">
      <h2>{title}</h2>
      {rows.length === 0 ? (
        <p class="hint">{nothing}</p>
      ) : (
        // Wide tables scroll by themselves, by keyboard too.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region has to be reachable
        <section class="table-scroll" tabIndex={0} aria-label={title}>
          <table>
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col" class={column.startsWith("#") ? "number" : ""}>
                    {column.replace("#", "")}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, mood, cells }) => (
                <tr key={key} class={mood ? `row-${mood}` : ""}>
                  {cells.map((cell, index) => (
                    <td
                      key={columns[index]}
                      class={columns[index]?.startsWith("#") ? "number" : ""}
                    >
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}
