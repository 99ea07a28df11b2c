/** A README's program and what it says the program prints. */
export interface ReadmeProgram {
  readonly source: string;
  readonly output: string;
}

interface Fence {
  readonly info: string;
  readonly body: string;
}

/** Every fenced block of a Markdown text, in order: what stands after the opening fence, and the lines inside. */
function fences(markdown: string): Fence[] {
  const found: Fence[] = [];
  let open: { indent: string; ticks: string; info: string; lines: string[] } | undefined;
  for (const line of markdown.split(/\r?\n/)) {
    const fence = /^( {0,3})(`{3,})(.*)$/.exec(line);
    if (open === undefined) {
      if (fence) open = { indent: fence[1] ?? "", ticks: fence[2] ?? "", info: (fence[3] ?? "").trim(), lines: [] };
    } else if (fence && (fence[2] ?? "").length >= open.ticks.length && (fence[3] ?? "").trim() === "") {
      found.push({ info: open.info, body: open.lines.map((text) => `${text}\n`).join("") });
      open = undefined;
    } else {
      open.lines.push(open.indent && line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    }
  }
  if (open !== undefined) throw new Error(`a fenced block marked "${open.info}" is never closed`);
  return found;
}

/** The block marked `ts program`, and the `text` block after it. Throws where a README has not both. */
export function extractProgram(markdown: string): ReadmeProgram {
  const blocks = fences(markdown);
  const at = blocks.findIndex((block) => block.info === "ts program");
  const program = blocks[at];
  if (program === undefined) throw new Error('no fenced block is marked exactly "ts program"');
  const output = blocks[at + 1];
  if (output?.info !== "text") {
    throw new Error(
      `the block after the program has to be marked "text", seen: ${output ? `"${output.info}"` : "none"}`,
    );
  }
  return { source: program.body, output: output.body };
}
