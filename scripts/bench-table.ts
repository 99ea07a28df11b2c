import type { Row } from "./bench-turns.js";

const columns = ["package", "bench", "subject", "median", "unit", "min", "max", "runs"] as const;
const toTheRight = new Set<string>(["median", "min", "max", "runs"]);

/** All rows as one table for a terminal; what repeats the line above is left blank. */
export function benchTable(rows: readonly Row[]): string {
  const lines = rows.map((row): string[] => {
    if ("goal" in row) {
      return [
        row.package,
        row.bench,
        `  goal: ${row.goal}`,
        figure(row.value),
        row.met ? "met" : "NOT MET",
        "",
        "",
        "",
      ];
    }
    const { package: name, bench, subject, value, unit, min, max, runs } = row;
    return [name, bench, subject, figure(value), unit, figure(min), figure(max), String(runs)];
  });
  const widths = columns.map((column, at) => Math.max(column.length, ...lines.map((line) => line[at]?.length ?? 0)));
  const print = (cells: readonly string[]) =>
    cells
      .map((cell, at) =>
        toTheRight.has(columns[at] ?? "") ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join("  ")
      .trimEnd();
  const body = lines.map((line, at) => {
    const above = lines[at - 1];
    const samePackage = above?.[0] === line[0];
    const sameBench = samePackage && above?.[1] === line[1];
    return print([samePackage ? "" : (line[0] ?? ""), sameBench ? "" : (line[1] ?? ""), ...line.slice(2)]);
  });
  return [print(columns), print(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}

/** Three significant digits at least, thousands grouped: 0.0123, 4.57, 1,234,568. */
function figure(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(digits, 6), useGrouping: true });
}
