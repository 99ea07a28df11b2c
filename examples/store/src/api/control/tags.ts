import { validationError } from "../errors.js";
import { controlMessages } from "./messages.js";
import { TAGS_MAX, type Tag } from "./settings.js";

const KEY_LENGTH_MAX = 128;
const VALUE_LENGTH_MAX = 256;
const CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** @throws ValidationException */
export function checkTags(tags: readonly Partial<Tag>[]): asserts tags is readonly Tag[] {
  const keys = new Set<string>();
  for (const { Key: key, Value: value } of tags) {
    checkTagKey(key);
    if (value === undefined || value.length > VALUE_LENGTH_MAX || !CHARACTERS.test(value))
      throw validationError(controlMessages.tagValueInvalid(value ?? "null"));
    if (keys.has(key as string)) throw validationError(controlMessages.tagTwice(key as string));
    keys.add(key as string);
  }
  if (tags.length > TAGS_MAX) throw validationError(controlMessages.tooManyTags);
}

/** @throws ValidationException */
export function checkTagKey(key: string | undefined): void {
  if (key === undefined || key === "" || key.length > KEY_LENGTH_MAX || !CHARACTERS.test(key))
    throw validationError(controlMessages.tagKeyInvalid(key ?? "null"));
  if (/^aws:/i.test(key)) throw validationError(controlMessages.tagReserved(key));
}
