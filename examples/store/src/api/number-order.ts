/**
 * Numbers as bytes that sort as the numbers do, for keys.
 *
 *     zero       02
 *     positive   03  exponent+129        (pair+1)...         pairs of digits, 00 to 99; an odd last digit is a pair with a zero behind it
 *     negative   01  255-(exponent+129)  (101-(pair+1))...  FF
 *
 * A positive number that is a prefix of another is the smaller one and sorts first. Among negatives it is the larger one: the FF puts it
 * behind. Part of the format on disk.
 */
import { type Decimal, formatNumber, parseNumber } from "./number.js";

const NEGATIVE = 1;
const ZERO = 2;
const POSITIVE = 3;
const EXPONENT_BIAS = 129;

/** At most 22 bytes. */
export function encodeNumber(text: string): Uint8Array {
  const { negative, digits, exponent } = parseNumber(text);
  if (digits === "") return Uint8Array.of(ZERO);
  const pairs = (digits.length + 1) >> 1;
  const bytes = new Uint8Array(2 + pairs + (negative ? 1 : 0));
  const biased = exponent + EXPONENT_BIAS;
  bytes[0] = negative ? NEGATIVE : POSITIVE;
  bytes[1] = negative ? 255 - biased : biased;
  for (let i = 0; i < pairs; i++) {
    const tens = digits.charCodeAt(2 * i) - 48;
    const ones = 2 * i + 1 < digits.length ? digits.charCodeAt(2 * i + 1) - 48 : 0;
    const pair = tens * 10 + ones + 1;
    bytes[2 + i] = negative ? 101 - pair : pair;
  }
  if (negative) bytes[bytes.length - 1] = 0xff;
  return bytes;
}

/** The number in normal form. @param bytes made by `encodeNumber` */
export function decodeNumber(bytes: Uint8Array): string {
  if (bytes[0] === ZERO) return "0";
  const negative = bytes[0] === NEGATIVE;
  const end = negative ? bytes.length - 1 : bytes.length;
  let digits = "";
  for (let i = 2; i < end; i++) {
    const pair = (negative ? 101 - (bytes[i] as number) : (bytes[i] as number)) - 1;
    digits += pair < 10 ? `0${pair}` : pair;
  }
  if (digits.endsWith("0")) digits = digits.slice(0, -1);
  const biased = negative ? 255 - (bytes[1] as number) : (bytes[1] as number);
  const value: Decimal = { negative, digits, exponent: biased - EXPONENT_BIAS };
  return formatNumber(value);
}
