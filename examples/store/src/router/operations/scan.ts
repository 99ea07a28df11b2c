import { compareBytes } from "../../api/bytes.js";
import { validationError } from "../../api/errors.js";
import { ringPosition } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { PageRequest } from "../../api/model.js";
import { assertPlaceholdersWanted, parseExpressions } from "../../api/requests/expressions.js";
import { type ScanRequest, scan as shape } from "../../api/requests/items.js";
import { indexOf, indexRead, startEntry } from "./index-read.js";
import type { Operation } from "./operation.js";
import { checkSelect, checkStartItem, pageAnswer, pageBounds, startKey } from "./page.js";

const TAKE_VALUES = ["FilterExpression"] as const;

export const scan: Operation<ScanRequest> = {
  shape,
  async run(request, { backend }) {
    assertPlaceholdersWanted(request, TAKE_VALUES);
    checkStartItem(request);
    checkSelect(request);
    checkSegments(request);
    const { filter, projection } = parseExpressions(request, TAKE_VALUES);
    const table = await backend.table(request.TableName);
    const index = indexOf(table, request);
    const range = segmentRange(request);
    let after: Uint8Array | undefined;
    if (request.ExclusiveStartKey !== undefined) {
      const start = request.ExclusiveStartKey;
      after = index === undefined ? startKey(table.keySchema, start) : startEntry(table, index, start);
      const outside =
        (range.from && compareBytes(after, range.from) < 0) || (range.to && compareBytes(after, range.to) >= 0);
      if (outside) throw validationError(messages.startKeySegment);
    }
    const page = await backend.page(table, {
      ...range,
      ...pageBounds(request),
      ...(after && { after }),
      ...(filter && { filter }),
      ...(index && { index: indexRead(table, index, request, projection, filter) }),
    });
    return pageAnswer(request, table, page, projection);
  },
};

function checkSegments({ Segment: segment, TotalSegments: total }: ScanRequest): void {
  if (segment !== undefined && total === undefined) throw validationError(messages.segmentWithoutTotal);
  if (segment === undefined && total !== undefined) throw validationError(messages.totalWithoutSegment);
  if (segment !== undefined && total !== undefined && segment >= total) {
    throw validationError(messages.segmentTooLarge(segment, total));
  }
}

/** Segments share the hash ring evenly; item collections are never torn apart. */
function segmentRange({ Segment: segment, TotalSegments: total }: ScanRequest): Pick<PageRequest, "from" | "to"> {
  if (segment === undefined || total === undefined) return {};
  return {
    ...(segment > 0 && { from: beginningOf(segment / total) }),
    ...(segment + 1 < total && { to: beginningOf((segment + 1) / total) }),
  };
}

const beginningOf = (fraction: number): Uint8Array => ringPosition(Math.ceil(fraction * 2 ** 32));
