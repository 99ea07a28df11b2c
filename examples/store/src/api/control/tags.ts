import { ApiError, validationError } from "../errors.js";
import { controlMessages } from "./messages.js";
import { TAGS_MAX, type Tag } from "./settings.js";

/** @throws ApiError ValidationException or LimitExceededException */
export function checkTags(tags: readonly Tag[]): void {
  const keys = new Set<string>();
  for (const { Key: key } of tags) {
    if (keys.has(key)) throw validationError(controlMessages.tagTwice(key));
    if (/^aws:/i.test(key)) throw validationError(controlMessages.tagReserved);
    keys.add(key);
  }
  if (tags.length > TAGS_MAX) throw new ApiError("LimitExceededException", controlMessages.tooManyTags);
}
