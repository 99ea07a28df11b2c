const WIDTH = 900;
const HEIGHT = 130;
const LEFT = 50;
const TOP = 26;
/** The top of each panel, as a part of the limit. */
const MOST = 2;

/** Panels one above the other: what was admitted in each second as a part of the limit, ours and the plain share's. */
export function plot(
  curves: readonly { readonly name: string; readonly ours: readonly number[]; readonly plain: readonly number[] }[],
): string {
  const panels = curves.map(({ name, ours, plain }, panel) => {
    const y0 = panel * (HEIGHT + TOP) + TOP;
    const x = (second: number) => LEFT + (second / Math.max(1, ours.length - 1)) * (WIDTH - LEFT - 20);
    const y = (part: number) => y0 + HEIGHT - (Math.min(part, MOST) / MOST) * HEIGHT;
    const line = (points: readonly number[], colour: string) =>
      `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points
        .map((part, second) => `${x(second).toFixed(1)},${y(part).toFixed(1)}`)
        .join(" ")}"/>`;
    return [
      `<text x="${LEFT}" y="${y0 - 8}">${name}</text>`,
      ...[0, 1, 2].map(
        (part) =>
          `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${y(part)}" y2="${y(part)}" stroke="${part === 1 ? "#c33" : "#ddd"}"/>` +
          `<text x="8" y="${y(part) + 4}">${part * 100} %</text>`,
      ),
      line(plain, "#999"),
      line(ours, "#06c"),
    ].join("\n");
  });
  const height = curves.length * (HEIGHT + TOP) + 40;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${panels.join("\n")}
<text x="${LEFT}" y="${height - 12}">Admitted in each second, as a part of the limit. Blue: evenkeel. Grey: a plain proportional share.</text>
</svg>
`;
}
