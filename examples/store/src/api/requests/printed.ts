/** What was sent, as error texts show it. */
import type { Shape, StructureShape } from "./shapes.js";

const PRINTED_MAX = 16_384;
const PRINTED_DEPTH_MAX = 8;
const MEMBERS_PRINTED_MAX = 128;

interface Style {
  readonly text: (of: unknown) => string;
  readonly comma: string;
  readonly equals: string;
}

const JAVA: Style = { text: String, comma: ", ", equals: "=" };
const JSON_STYLE: Style = { text: JSON.stringify, comma: ",", equals: ":" };

/** A member's name as error texts have it. */
export const camelCase = (name: string): string => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;

/** Bounded: what was sent may be 16 MB. */
export function printed(value: unknown, shape: Shape): string {
  if (value === undefined || value === null) return "null";
  const text = print(value, shape, 0, shape.type === "map" && shape.shownAsJson ? JSON_STYLE : JAVA);
  return `'${text.length > PRINTED_MAX ? `${text.slice(0, PRINTED_MAX)}...` : text}'`;
}

/** @param shape absent: of what is in attribute values */
function print(value: unknown, shape: Shape | undefined, depth: number, style: Style): string {
  if (typeof value !== "object" || value === null) return style.text(value);
  if (depth >= PRINTED_DEPTH_MAX) return "...";
  const of = shape?.type === "list" || shape?.type === "map" ? shape.of : undefined;
  if (Array.isArray(value)) {
    return `[${value
      .slice(0, MEMBERS_PRINTED_MAX)
      .map((element) => print(element, of, depth + 1, style))
      .join(style.comma)}]`;
  }
  if (shape?.type === "structure" && style === JAVA) return printStructure(value as object, shape, depth);
  const members: string[] = [];
  for (const name in value) {
    if (members.length >= MEMBERS_PRINTED_MAX) break;
    const shown = print((value as Record<string, unknown>)[name], of, depth + 1, style);
    members.push(`${style.text(name)}${style.equals}${shown}`);
  }
  return `{${members.join(style.comma)}}`;
}

/** By its name, with all members that it may have. */
function printStructure(value: object, { name, members }: StructureShape, depth: number): string {
  const shown = Object.entries(members).map(([member, shape]) => {
    const told = print((value as Record<string, unknown>)[member] ?? null, shape, depth + 1, JAVA);
    return `${camelCase(member)}=${told}`;
  });
  return `${name}(${shown.join(", ")})`;
}
