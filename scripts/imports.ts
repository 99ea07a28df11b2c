import ts from "typescript";

/** One place where a source file names another module. */
export interface ImportSite {
  /** The module's name as written; absent where it is computed at run time. */
  readonly specifier: string | undefined;
  readonly line: number;
}

/** Every module that a source file names: static and dynamic imports, re-exports, `require`, and imports of types alone. */
export function importsOf(fileName: string, text: string): ImportSite[] {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, false);
  const sites: ImportSite[] = [];
  const add = (node: ts.Node, named: ts.Node | undefined) => {
    const specifier = named && ts.isStringLiteralLike(named) ? named.text : undefined;
    sites.push({ specifier, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1 });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier);
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier);
    else if (ts.isExternalModuleReference(node)) add(node, node.expression);
    else if (ts.isImportTypeNode(node))
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined);
    else if (ts.isCallExpression(node) && loadsModule(node.expression)) add(node, node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return sites;
}

function loadsModule(callee: ts.Expression): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true;
  if (ts.isIdentifier(callee)) return callee.text === "require";
  return (
    ts.isPropertyAccessExpression(callee) && ts.isIdentifier(callee.expression) && callee.expression.text === "require"
  );
}

/** The first statement that does something else than to export from another file, as a line number; none in a pure table of contents. */
export function firstLineBesideExports(fileName: string, text: string): number | undefined {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, false);
  const other = source.statements.find((statement) => !ts.isExportDeclaration(statement));
  return other && source.getLineAndCharacterOfPosition(other.getStart(source)).line + 1;
}
