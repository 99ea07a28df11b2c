/**
 * One text for each value: equal texts, equal values. For comparing states and outputs, and for showing them. Plain data only: what is
 * inside a class instance is not looked at.
 */
export function textOf(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "object":
      return value === null ? "null" : textOfObject(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function textOfObject(value: object): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`;
  if (value instanceof Uint8Array)
    return `0x${Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  if (value instanceof Map) {
    const entries = [...value].map(([key, held]) => `${textOf(key)} => ${textOf(held)}`);
    return `Map{${entries.sort().join(", ")}}`;
  }
  if (value instanceof Set) return `Set{${[...value].map(textOf).sort().join(", ")}}`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, held]) => `${name}: ${textOf(held)}`).join(", ")}}`;
}
