import { validationError } from "../errors.js";
import { controlMessages } from "./messages.js";

/** Some operations have words of their own for it. @throws ValidationException */
export function assertNameLength(what: "TableName" | "IndexName", name: string): void {
  if (name.length < 3 || name.length > 255) throw validationError(controlMessages.nameLength(what));
}
