import { restored } from "../../api/control/admission.js";
import { streamOfArn, tableOfArn } from "../../api/control/arns.js";
import { controlMessages } from "../../api/control/messages.js";
import { TAGS_MAX } from "../../api/control/settings.js";
import { checkTagKey, checkTags } from "../../api/control/tags.js";
import { ApiError, validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import {
  type ListTagsRequest,
  listTagsOfResource as listShape,
  type TagResourceRequest,
  tagResource as tagShape,
  type UntagResourceRequest,
  untagResource as untagShape,
} from "../../api/requests/control.js";
import type { Operation } from "./operation.js";

/** Its service answers with nothing at all, not even an empty object. */
const NO_ANSWER: readonly Uint8Array[] = [];

export const tagResource: Operation<TagResourceRequest> = {
  shape: tagShape,
  async run({ ResourceArn: arn, Tags: tag }, { backend }) {
    const table = taggedTable(arn);
    if (tag === undefined) throw missing("tags");
    if (tag.length === 0) throw validationError(controlMessages.tagsMissing);
    checkTags(tag);
    await named(arn, backend.updateTable(table, { tag }));
    return NO_ANSWER;
  },
};

export const untagResource: Operation<UntagResourceRequest> = {
  shape: untagShape,
  async run({ ResourceArn: arn, TagKeys: untag }, { backend }) {
    const table = taggedTable(arn);
    if (untag === undefined) throw missing("tagKeys");
    if (untag.length === 0) throw validationError(controlMessages.tagKeysMissing);
    for (const key of untag) checkTagKey(key);
    if (untag.length > TAGS_MAX) throw validationError(controlMessages.tooManyTags);
    await named(arn, backend.updateTable(table, { untag }));
    return NO_ANSWER;
  },
};

const missing = (at: string): ApiError =>
  validationError(messages.constraints([messages.constraint("null", at, messages.mustNotBeNull)]));

/** All of them at once: there are no more than fit into one answer. */
export const listTagsOfResource: Operation<ListTagsRequest> = {
  shape: listShape,
  async run({ ResourceArn: arn }, { backend }) {
    const { settings } = restored(await named(arn, backend.describeTable(taggedTable(arn))));
    return { Tags: settings?.tags ?? [] };
  },
};

/** Streams have no tags: theirs are not found. @throws ApiError */
function taggedTable(arn: string | undefined): string {
  if (streamOfArn(arn) === undefined) return tableOfArn(arn);
  throw new ApiError("ResourceNotFoundException", controlMessages.arnNotFound(arn ?? ""));
}

/** What is not there is told by the ARN that was asked for. */
async function named<T>(arn: string | undefined, answer: Promise<T>): Promise<T> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ApiError && error.type === "ResourceNotFoundException") {
      throw new ApiError(error.type, controlMessages.arnNotFound(arn ?? ""));
    }
    throw error;
  });
}
