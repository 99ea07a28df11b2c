import { messages } from "../messages.js";
import type { DocumentPath } from "../model.js";
import { printPath } from "../path.js";
import type { Problems } from "./problems.js";

interface Node {
  /** The path that ends here. */
  end?: DocumentPath;
  /** Any path that comes through here. */
  readonly through: DocumentPath;
  readonly children: Map<string | number, Node>;
}

/**
 * Notes the first two paths of which one contains the other (they overlap) and the first two which take one attribute for a map and for a
 * list (they conflict). Linear in the paths, however many there are.
 */
export function checkPathsApart(paths: readonly DocumentPath[], problems: Problems): void {
  const roots = new Map<string | number, Node>();
  for (const path of paths) {
    let siblings = roots;
    for (let i = 0; i < path.length; i++) {
      const step = path[i] as string | number;
      const stranger = siblings.size > 0 && i > 0 ? (siblings.values().next().value as Node) : undefined;
      if (stranger !== undefined && typeof stranger.through[i] !== typeof step) {
        problems.note("conflict", messages.pathsConflict(printPath(stranger.through), printPath(path)));
      }
      let node = siblings.get(step);
      if (node === undefined) {
        node = { through: path, children: new Map() };
        siblings.set(step, node);
      } else if (node.end !== undefined || i === path.length - 1) {
        return problems.note("overlap", messages.pathsOverlap(printPath(node.end ?? node.through), printPath(path)));
      }
      if (i === path.length - 1) node.end = path;
      siblings = node.children;
    }
  }
}
