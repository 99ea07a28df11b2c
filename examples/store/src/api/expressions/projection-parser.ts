import type { DocumentPath } from "../model.js";
import { Parser } from "./parser.js";
import { checkPathsApart } from "./paths-apart.js";
import type { Placeholders } from "./placeholders.js";

/** `path { "," path }`. @throws ExpressionError */
export function parseProjection(expression: string, placeholders: Placeholders): DocumentPath[] {
  const p = new Parser(expression, placeholders);
  const paths: DocumentPath[] = [];
  do paths.push(p.path());
  while (p.acceptSymbol(","));
  checkPathsApart(paths, p.problems);
  p.finish();
  return paths;
}
