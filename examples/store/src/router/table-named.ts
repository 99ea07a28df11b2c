import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";

/**
 * Some operations have a name of their own for a table that is not there.
 * @param called what it was called in the request; absent: one that is not told again
 */
export async function tableNamed<T>(called: string | undefined, answer: Promise<T>): Promise<T> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ApiError && error.type === "ResourceNotFoundException") {
      throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(called));
    }
    throw error;
  });
}
