import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import type { Workspace } from "./workspaces.js";

/** What a package's sources say to its users. */
export interface Said {
  /** Members of the types whose names end in `ErrorCode`. */
  readonly codes: Set<string>;
  /** Of `node:diagnostics_channel`. */
  readonly channels: Set<string>;
  /** Interfaces that an entry exports and whose names end in `Options`: each with the names in it, in those that it extends too. */
  readonly options: Map<string, Set<string>>;
  /** Every name that some type or parameter list of these sources has. */
  readonly properties: Set<string>;
  /** Names of options given to `parseArgs`. */
  readonly flags: Set<string>;
  /** Environment variables. */
  readonly variables: Set<string>;
  /** Those, and the benches' own. */
  readonly allVariables: Set<string>;
  /** Functions, classes and constants that an entry exports by name. */
  readonly values: Set<string>;
  /** What reading alone cannot tell. */
  readonly unclear: string[];
}

export const variablePattern = /\bEVENKEEL_[A-Z_]*[A-Z]\b/g;

export function saidBy(root: string, { folder, manifest }: Workspace): Said {
  const said: Said = {
    codes: new Set(),
    channels: new Set(),
    options: new Map(),
    properties: new Set(),
    flags: new Set(),
    variables: new Set(),
    allVariables: new Set(),
    values: new Set(),
    unclear: [],
  };
  const entries = Object.values(manifest.exports ?? {}).flatMap((entry) => {
    const path = (entry as { "@evenkeel/source"?: string } | undefined)?.["@evenkeel/source"];
    return path === undefined ? [] : [join(path)];
  });
  const bags = new Map<string, ts.InterfaceDeclaration>();
  const types: string[] = [];
  for (const file of sourcesIn(join(root, folder), "src")) {
    const text = readFileSync(join(root, folder, file), "utf8");
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false);
    const visit = (node: ts.Node): void => {
      if (ts.isInterfaceDeclaration(node)) bags.set(node.name.text, node);
      readNode(node, said, file);
      ts.forEachChild(node, visit);
    };
    visit(source);
    if (entries.includes(file)) readEntry(source, said.values, types);
  }
  for (const name of types) {
    if (name.endsWith("Options") && bags.has(name)) said.options.set(name, namesOf(name, bags));
  }
  for (const part of ["src", "bench"]) {
    for (const file of sourcesIn(join(root, folder), part)) {
      for (const name of readFileSync(join(root, folder, file), "utf8").match(variablePattern) ?? []) {
        said.allVariables.add(name);
        if (part === "src") said.variables.add(name);
      }
    }
  }
  return said;
}

function sourcesIn(folder: string, part: string): string[] {
  if (!existsSync(join(folder, part))) return [];
  return readdirSync(join(folder, part), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(part, file))
    .sort();
}

function readNode(node: ts.Node, said: Said, file: string): void {
  if (ts.isTypeAliasDeclaration(node) && node.name.text.endsWith("ErrorCode")) {
    for (const member of ts.isUnionTypeNode(node.type) ? node.type.types : [node.type]) {
      if (ts.isLiteralTypeNode(member) && ts.isStringLiteral(member.literal)) said.codes.add(member.literal.text);
    }
  } else if ((ts.isPropertySignature(node) || ts.isMethodSignature(node)) && ts.isIdentifier(node.name)) {
    said.properties.add(node.name.text);
  } else if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const [first] = node.arguments;
    if (node.expression.text === "channel" && first !== undefined) {
      if (ts.isStringLiteralLike(first)) said.channels.add(first.text);
      else said.unclear.push(`${file} puts the name of a channel together; write it out, so that it can be looked for`);
    } else if (node.expression.text === "parseArgs" && first !== undefined && ts.isObjectLiteralExpression(first)) {
      for (const flag of namesInProperty(first, "options")) said.flags.add(flag);
    }
  }
}

function namesInProperty(object: ts.ObjectLiteralExpression, name: string): string[] {
  const found = object.properties.find((property) => property.name !== undefined && nameOf(property.name) === name);
  if (found === undefined || !ts.isPropertyAssignment(found) || !ts.isObjectLiteralExpression(found.initializer))
    return [];
  return found.initializer.properties.flatMap(({ name: key }) => nameOf(key) ?? []);
}

function nameOf(name: ts.PropertyName | undefined): string | undefined {
  return name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : undefined;
}

/** What an entry hands out by name. What it passes on whole (`export *`) is not its own. */
function readEntry(source: ts.SourceFile, values: Set<string>, types: string[]): void {
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause || !ts.isNamedExports(statement.exportClause))
      continue;
    for (const { name, isTypeOnly } of statement.exportClause.elements) {
      if (statement.isTypeOnly || isTypeOnly) types.push(name.text);
      else values.add(name.text);
    }
  }
}

function namesOf(bag: string, bags: ReadonlyMap<string, ts.InterfaceDeclaration>): Set<string> {
  const declared = bags.get(bag);
  const names = (declared?.members ?? []).flatMap(({ name }) => nameOf(name) ?? []);
  const bases = (declared?.heritageClauses ?? []).flatMap(({ types }) => types.map(({ expression }) => expression));
  return new Set([...names, ...bases.flatMap((base) => (ts.isIdentifier(base) ? [...namesOf(base.text, bags)] : []))]);
}
