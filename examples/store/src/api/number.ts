/**
 * The service's numbers: decimal, 38 significant digits, magnitudes from 1E-130 to 9.99E+125. They travel as text in one normal form
 * (plain notation, no superfluous zeros), so that equal numbers are equal strings.
 */
import { type ApiError, validationError } from "./errors.js";
import { messages } from "./messages.js";

const DIGITS_MAX = 38;
const EXPONENT_MIN = -129;
const EXPONENT_MAX = 126;

/** 0.`digits` times ten to the power of `exponent`; no zero at either end of `digits`; zero has no digits and exponent 0. */
export interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly exponent: number;
}

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

const ZERO: Decimal = { negative: false, digits: "", exponent: 0 };

/** Short integers in normal form already, as nearly all numbers are: at most 15 digits, exact as a double. */
function isSmallInteger(text: string): boolean {
  const start = text.charCodeAt(0) === 45 ? 1 : 0;
  const length = text.length - start;
  if (length < 1 || length > 15) return false;
  const first = text.charCodeAt(start);
  if (first === 48) return text.length === 1;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** @throws ValidationException for text that is no number, or one outside of the service's range or precision */
export function parseNumber(text: string): Decimal {
  if (text === "") throw validationError(messages.notANumberEmpty, messages.notANumberEmptyNewer);
  const match = NUMBER.exec(text);
  const whole = match?.[2] ?? "";
  const fraction = match?.[3] ?? "";
  if (match === null || whole.length + fraction.length === 0) throw validationError(messages.notANumber(text));
  const exponent = match[4];
  if (exponent !== undefined && Math.abs(Number(exponent)) > FAR_OUT) throw farOut(text, whole, fraction, exponent);
  const number = decimal(match[1] === "-", whole + fraction, whole.length + Number(exponent ?? 0));
  // A zero is out of range where a one in place of its last digit would be.
  if (number.digits === "" && exponent !== undefined)
    checked({ ...number, exponent: 1 + Number(exponent) - fraction.length });
  return checked(number);
}

const FAR_OUT = 1_000_000_000;
const LONG_DIGITS_MAX = 19;

/**
 * An exponent that is out of all bounds. Newer checks read it as a 64-bit integer. Those that were there before read it as one of 32 bits, and keep a
 * number as its digits and a scale of as many: what has no room in these is no number to them, and where its magnitude has none a large one is taken for a
 * small one.
 */
function farOut(text: string, whole: string, fraction: string, exponent: string): ApiError {
  const digits = exponent.replace(/^[+-]?0*/, "");
  if (digits.length > LONG_DIGITS_MAX) return validationError(messages.notANumber(text));
  const value = exponent.startsWith("-") ? -BigInt(digits) : BigInt(digits);
  const told = (large: boolean) => (large ? messages.numberOverflow : messages.numberUnderflow);
  const newer = fits(value, 64) ? told(value > 0n) : messages.notANumber(text);
  const scale = BigInt(fraction.length) - value;
  const precision = Math.max(1, (whole + fraction).replace(/^0+/, "").length);
  const magnitude = BigInt.asIntN(32, BigInt(precision) - scale);
  return validationError(fits(value, 32) && fits(scale, 32) ? told(magnitude > 0n) : messages.notANumber(text), newer);
}

const fits = (integer: bigint, bits: number): boolean => BigInt.asIntN(bits, integer) === integer;

function decimal(negative: boolean, digits: string, exponent: number): Decimal {
  let start = 0;
  let end = digits.length;
  while (start < end && digits.charCodeAt(start) === 48) start++;
  while (end > start && digits.charCodeAt(end - 1) === 48) end--;
  if (start === end) return ZERO;
  return { negative, digits: digits.slice(start, end), exponent: exponent - start };
}

/** A sum with too many digits is told in the words of one that is too large. */
function checkedSum(value: Decimal): Decimal {
  if (value.digits.length > DIGITS_MAX) throw validationError(messages.numberOverflow);
  return checked(value);
}

function checked(value: Decimal): Decimal {
  if (value.exponent > EXPONENT_MAX) throw validationError(messages.numberOverflow);
  if (value.exponent < EXPONENT_MIN) throw validationError(messages.numberUnderflow);
  if (value.digits.length > DIGITS_MAX) throw validationError(messages.numberTooPrecise);
  return value;
}

export function formatNumber({ negative, digits, exponent }: Decimal): string {
  if (digits === "") return "0";
  const sign = negative ? "-" : "";
  if (exponent <= 0) return `${sign}0.${"0".repeat(-exponent)}${digits}`;
  if (digits.length <= exponent) return sign + digits + "0".repeat(exponent - digits.length);
  return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
}

/** @throws as `parseNumber` */
export function normalizeNumber(text: string): string {
  return isSmallInteger(text) ? text : formatNumber(parseNumber(text));
}

/** @param a in normal form, as is `b` */
export function compareNumbers(a: string, b: string): number {
  if (a === b) return 0;
  // Decimals of 15 digits keep their order as doubles.
  if (a.length <= 15 && b.length <= 15) return Number(a) - Number(b);
  const x = parseNumber(a);
  const y = parseNumber(b);
  const sign = signOf(x);
  if (sign !== signOf(y)) return sign - signOf(y);
  if (x.exponent !== y.exponent) return sign * (x.exponent - y.exponent);
  return sign * (x.digits < y.digits ? -1 : 1);
}

function signOf(value: Decimal): number {
  if (value.digits === "") return 0;
  return value.negative ? -1 : 1;
}

/**
 * Exact sum of two numbers in normal form (their difference with `sign` -1).
 * @throws ValidationException when the exact result is outside of the service's range or precision: it never rounds in silence
 */
export function addNumbers(a: string, b: string, sign: 1 | -1 = 1): string {
  if (isSmallInteger(a) && isSmallInteger(b)) return String(Number(a) + sign * Number(b));
  const x = parseNumber(a);
  const y = parseNumber(b);
  const scale = Math.min(x.exponent - x.digits.length, y.exponent - y.digits.length);
  const sum = scaled(x, scale) + BigInt(sign) * scaled(y, scale);
  const digits = (sum < 0n ? -sum : sum).toString();
  return formatNumber(checkedSum(decimal(sum < 0n, digits, digits.length + scale)));
}

function scaled(value: Decimal, scale: number): bigint {
  if (value.digits === "") return 0n;
  const coefficient = BigInt(value.digits) * 10n ** BigInt(value.exponent - value.digits.length - scale);
  return value.negative ? -coefficient : coefficient;
}

/** What a number weighs in an item: a byte for two digits (pairs counted from the decimal point), one more, and one for a minus. */
export function numberBytes(text: string): number {
  const { negative, digits, exponent } = parseNumber(text);
  if (digits === "") return 1;
  const before = exponent & 1;
  return 1 + Math.ceil((digits.length + before) / 2) + (negative ? 1 : 0);
}
