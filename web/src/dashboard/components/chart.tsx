import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot, { type AlignedData, type Options } from "uplot";

export interface Line {
  readonly name: string;
  /** The name of a colour of the theme, without its dashes. */
  readonly colour: "accent" | "ember";
}

const HEIGHT = 150;

/** Lines over the last minutes; `data` is seconds since 1970, then the values of each line. */
export function Chart({
  title,
  lines,
  data,
  format,
}: {
  title: string;
  lines: readonly Line[];
  data: AlignedData;
  format(value: number): string;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const { current: target } = place;
    if (target === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(target, lines, format), latest.current, target);
    };
    draw();
    const resized = new ResizeObserver(() => {
      plot.current?.setSize({ width: target.clientWidth, height: HEIGHT });
    });
    resized.observe(target);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [lines, format]);

  useEffect(() => plot.current?.setData(data), [data]);

  const values = data.slice(1).map((series) => series.at(-1));
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        {lines.map(({ name, colour }, index) => {
          const value = values[index];
          return (
            <span class={`chart-line chart-line-${colour}`} key={name}>
              {name} <b>{typeof value === "number" ? format(value) : "–"}</b>
            </span>
          );
        })}
      </figcaption>
      <div ref={place} />
    </figure>
  );
}

const CLOCK = new Intl.DateTimeFormat("en", { timeStyle: "medium", hour12: false });

function clock(seconds: number): string {
  return CLOCK.format(seconds * 1000);
}

function optionsOf(
  target: HTMLElement,
  lines: readonly Line[],
  format: (value: number) => string,
): Options {
  const theme = getComputedStyle(target);
  const colour = (name: string): string => theme.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("ink-faint"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: `11px ${theme.fontFamily}`,
  };
  return {
    width: target.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, size: 22, space: 80, values: (_plot, splits) => splits.map(clock) },
      { ...axis, size: 56, space: 34, values: (_plot, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...lines.map(({ name, colour: stroke }) => ({
        label: name,
        stroke: colour(stroke),
        width: 1.75,
        fill: `${colour(stroke)}14`,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}
