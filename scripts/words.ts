/**
 * Words and code agree: `npm run lint` fails where a package's README leaves out what its users can meet, or names what is not there.
 *
 * Error codes, channels and environment variables in both directions, and of each code a row that says what it means and what to do; options and the
 * flags of commands too. Exported functions, classes and constants have to be told of. Defaults, units and whether a sentence is true are for people.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Said, saidBy, variablePattern } from "./said.js";
import { houseRoot, workspacesIn } from "./workspaces.js";

/** Every disagreement under `root` between a published package and its README.md, that of its benches included, by package. */
export function findDisagreements(root: string): string[] {
  const published = workspacesIn(root).filter((workspace) => workspace.published);
  const all = published.map((workspace) => saidBy(root, workspace));
  return published.flatMap((workspace, at) => {
    const path = `${workspace.folder}/README.md`;
    if (!existsSync(join(root, path))) return [];
    const ofBenches = join(root, workspace.folder, "bench/README.md");
    const words =
      readFileSync(join(root, path), "utf8") + (existsSync(ofBenches) ? readFileSync(ofBenches, "utf8") : "");
    const said = all[at] as Said;
    const wrong = [
      ...said.unclear,
      ...both(
        "error code",
        words.match(/\bERR_[A-Z0-9_]*[A-Z0-9]\b/g),
        said.codes,
        all.map((one) => one.codes),
      ),
      ...both(
        "channel",
        words.match(/\bevenkeel:[a-z-]+:[a-z-]+\b/g),
        said.channels,
        all.map((one) => one.channels),
      ),
      ...both(
        "variable",
        words.match(variablePattern),
        said.variables,
        all.map((one) => one.allVariables),
      ),
      ...codesWithoutRow(words, said),
      ...names(words, said),
      ...flags(words, said, Object.keys(workspace.manifest.bin ?? {})),
    ];
    return wrong.map((what) => `${path}: ${what}`);
  });
}

/** What is there and not told of, and what is told of and nowhere in the house. */
function both(what: string, told: readonly string[] | null, there: Set<string>, all: readonly Set<string>[]): string[] {
  const seen = new Set(told);
  return [
    ...[...there].filter((name) => !seen.has(name)).map((name) => `the ${what} ${name} is not told of`),
    ...[...seen]
      .filter((name) => !all.some((one) => one.has(name)))
      .map((name) => `the ${what} ${name} does not exist`),
  ];
}

function codesWithoutRow(words: string, { codes }: Said): string[] {
  const rows = words.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const isRow = (cells: readonly string[], code: string) =>
    cells[1] === `\`${code}\`` && cells.length >= 5 && cells.slice(1, -1).every((cell) => cell !== "");
  return [...codes]
    .filter((code) => !rows.some((cells) => isRow(cells, code)))
    .map((code) => `${code} needs a row: | \`${code}\` | what it means | what to do |`);
}

/** Options that an entry's types have, options that a table has, and what an entry exports. */
function names(words: string, { options, properties, values }: Said): string[] {
  const code = words.match(/```[\s\S]*?```|`[^`\n]+`/g) ?? [];
  const spoken = new Set(code.join(" ").match(/[A-Za-z_$][\w$]*/g));
  return [
    ...[...options].flatMap(([bag, its]) =>
      [...its].filter((name) => !spoken.has(name)).map((name) => `the option ${name} of ${bag} is not told of`),
    ),
    ...optionsInTables(words)
      .filter((name) => !properties.has(name))
      .map((name) => `the option ${name} does not exist`),
    ...[...values].filter((name) => !spoken.has(name)).map((name) => `${name} is exported and not told of`),
  ];
}

/** What stands in code in the first column of a table whose head begins with "option": the name alone. */
function optionsInTables(words: string): string[] {
  const found: string[] = [];
  let inTable = false;
  for (const line of words.split("\n")) {
    const first = /^\|([^|]*)\|/.exec(line)?.[1];
    if (first === undefined) inTable = false;
    else if (/^\s*option\b/.test(first)) inTable = true;
    else if (inTable)
      for (const [, name = ""] of first.matchAll(/`(?:[a-z]\w*\.)?([A-Za-z_$][\w$]*)/g)) found.push(name);
  }
  return found;
}

function flags(words: string, said: Said, commands: readonly string[]): string[] {
  const told = words.split("\n").flatMap((line) => {
    const starts = commands.map((name) => line.indexOf(`${name} `)).filter((at) => at >= 0);
    return starts.length === 0 ? [] : [...line.slice(Math.min(...starts)).matchAll(/--([a-z][a-z-]*)/g)];
  });
  return [
    ...[...said.flags]
      .filter((flag) => !new RegExp(`--${flag}(?![\\w-])`).test(words))
      .map((flag) => `the flag --${flag} is not told of`),
    ...told.flatMap(([, flag = ""]) => (said.flags.has(flag) ? [] : [`the flag --${flag} does not exist`])),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wrong = findDisagreements(houseRoot);
  for (const what of wrong) console.error(what);
  if (wrong.length > 0) {
    console.error(`\n${wrong.length} ${wrong.length === 1 ? "place" : "places"} where words and code do not agree.`);
    process.exitCode = 1;
  } else {
    console.log("Words: the READMEs and the code name the same things.");
  }
}
