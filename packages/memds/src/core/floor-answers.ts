import { copyBytes } from "./block.js";
import { floorKind, tooMuch } from "./messages.js";
import { Place } from "./place.js";
import { keyBytesMax, type RangeTree } from "./range-tree.js";

/** One for all: a look-up is over before the next one begins. */
const place = new Place();
/** Keys of so many bytes are copied to arrays that are kept, one for each length: a view of one costs more than to look it up. */
const shortBytesMax = 128;
const shortKeys: (Uint8Array | undefined)[] = [];

/**
 * What `answerQueries` and `encodeAnswers` make of a request in which every question is a floor, from its bytes to the answer's: nothing is made for
 * each question. It is what caches ask for all day.
 * @returns undefined where a question is another one, or the request is not whole: the general way says what is wrong with it.
 * @throws MemdsError `ERR_MEMDS_TOO_LARGE` as `answerQueries`
 */
export function answerFloors(
  tree: RangeTree,
  version: number,
  request: Uint8Array,
  answerBytesMax: number,
): { readonly count: number; readonly bytes: Uint8Array } | undefined {
  if (request.length < 2) return undefined;
  const count = request[0]! | (request[1]! << 8);
  let bytes = new Uint8Array(12 + count * 256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, version % 2 ** 32, true);
  view.setUint32(4, Math.floor(version / 2 ** 32), true);
  view.setUint16(8, count, true);
  let from = 2;
  let at = 10;
  for (let i = 0; i < count; i++) {
    const keyFrom = from + 3;
    if (keyFrom > request.length || request[from] !== floorKind) return undefined;
    const keyEnd = keyFrom + (request[from + 1]! | (request[from + 2]! << 8));
    if (keyEnd > request.length || keyEnd - keyFrom > keyBytesMax) return undefined;
    from = keyEnd;
    const isFound = tree.seekFloor(keyIn(request, keyFrom, keyEnd), place);
    const keyLength = isFound ? place.keyLength : 0;
    const valueLength = isFound ? place.valueEnd - place.valueStart : 0;
    const size = isFound ? 11 + keyLength + valueLength : 5;
    // As many as the general way counts, so that both refuse the same.
    if (at + size + 2 > answerBytesMax && count > 1) throw tooMuch(count, answerBytesMax);
    if (at + size > bytes.length) {
      const larger = new Uint8Array(Math.max(at + size, bytes.length * 2));
      larger.set(bytes.subarray(0, at));
      bytes = larger;
    }
    // more u8 | entries u32 | key length u16 | key | value length u32 | value
    bytes[at] = 0;
    bytes[at + 1] = isFound ? 1 : 0;
    at += 5;
    if (!isFound) continue;
    bytes[at] = keyLength & 255;
    bytes[at + 1] = keyLength >>> 8;
    at = place.copyKey(bytes, at + 2);
    bytes[at] = valueLength & 255;
    bytes[at + 1] = (valueLength >>> 8) & 255;
    bytes[at + 2] = valueLength >>> 16;
    copyBytes(place.bytes, place.valueStart, place.valueEnd, bytes, at + 4);
    at += 4 + valueLength;
  }
  return from === request.length ? { count, bytes: bytes.subarray(0, at) } : undefined;
}

/** Good until the next one. */
function keyIn(request: Uint8Array, from: number, to: number): Uint8Array {
  const length = to - from;
  if (length > shortBytesMax) return request.subarray(from, to);
  shortKeys[length] ??= new Uint8Array(length);
  const key = shortKeys[length];
  for (let i = 0; i < length; i++) key[i] = request[from + i]!;
  return key;
}
