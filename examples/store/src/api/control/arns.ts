import { validationError } from "../errors.js";
import { controlMessages } from "./messages.js";

const STREAM_ARN = /^arn:aws:dynamodb:[^:]+:\d+:table\/([a-zA-Z0-9_.-]{3,255})\/stream\/([^/]+)$/;
const TABLE_ARN = /^arn:aws:dynamodb:[^:]+:\d+:table\/([a-zA-Z0-9_.-]{3,255})$/;

/**
 * The table that an ARN names, of whatever region and account: there is one of each here.
 * @param invalid what is said of one that is of no such form
 * @throws ValidationException
 */
export function tableOfArn(arn: string | undefined, invalid = controlMessages.arnInvalid): string {
  if (arn === undefined) throw validationError(controlMessages.arnMissing);
  if (!arn.startsWith("arn:")) throw validationError(controlMessages.arnNone(arn));
  if (!/^arn:[^:]*:dynamodb:/.test(arn)) throw validationError(controlMessages.arnOfOthers(arn));
  if (/:table\/[^/]+\/backup\//.test(arn)) throw validationError(controlMessages.arnOfOthers(arn));
  if (/:table\/[^/]+\/index\//.test(arn)) throw validationError(controlMessages.arnOfPart(arn));
  const name = TABLE_ARN.exec(arn)?.[1];
  if (name === undefined) throw validationError(invalid(arn));
  return name;
}

/** Undefined: it is no stream's. */
export function streamOfArn(arn: string | undefined): { table: string; label: string } | undefined {
  const [, table, label] = STREAM_ARN.exec(arn ?? "") ?? [];
  return table === undefined || label === undefined ? undefined : { table, label };
}
