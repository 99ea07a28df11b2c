/** Which key a table is to be encrypted with: taken, checked and described as the service does. Nothing is encrypted. */
import { validationError } from "../errors.js";
import { controlMessages } from "./messages.js";

export interface EncryptionRequest {
  Enabled?: boolean;
  SSEType?: "AES256" | "KMS";
  KMSMasterKeyId?: string;
}

/** With a key that is the user's own. */
export interface Encryption {
  readonly keyArn: string;
}

/** The key that an account has where none is named. */
const ACCOUNT_KEY = "alias/aws/dynamodb";

/** Undefined: with the service's own key, as every table is. @throws ValidationException */
export function encryptionOf({
  Enabled: enabled,
  SSEType: type,
  KMSMasterKeyId: key,
}: EncryptionRequest): Encryption | undefined {
  if (enabled === undefined && type !== undefined && type !== "AES256") return { keyArn: keyArn(key ?? ACCOUNT_KEY) };
  if (enabled !== true) {
    if (type !== undefined) throw validationError(controlMessages.encryptionDisabledWith("SSEType"));
    if (key !== undefined) throw validationError(controlMessages.encryptionDisabledWith("KMSMasterKeyId"));
    return undefined;
  }
  if (type === "AES256") throw validationError(controlMessages.encryptionType);
  if (key !== undefined && type === undefined) throw validationError(controlMessages.encryptionKeyWithoutType);
  return { keyArn: keyArn(key ?? ACCOUNT_KEY) };
}

function keyArn(key: string): string {
  if (key.startsWith("arn:")) return key;
  return `arn:aws:kms:local:000000000000:${key.startsWith("alias/") ? "" : "key/"}${key}`;
}

/** @throws ValidationException where it is so already: the key that it has is asked for by its ARN, or none of one without */
export function changedEncryption(before: Encryption | undefined, request: EncryptionRequest): Encryption | undefined {
  const after = encryptionOf(request);
  if (after?.keyArn !== before?.keyArn) return after;
  if (after !== undefined && request.KMSMasterKeyId !== before?.keyArn) return after;
  throw validationError(after === undefined ? controlMessages.encryptedByDefault : controlMessages.encryptedWithKey);
}

export function describedEncryption(encryption: Encryption | undefined): Record<string, unknown> {
  if (encryption === undefined) return {};
  return { SSEDescription: { Status: "ENABLED", SSEType: "KMS", KMSMasterKeyArn: encryption.keyArn } };
}
