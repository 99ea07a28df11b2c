import { randomBytes } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const COUNTER_DIGITS = 12;

/**
 * Ids shaped as the service's, 52 characters. The first 40 are random for this process, the others count, so that an id costs no
 * randomness on the hot path and still names one request in the world.
 */
export function requestIds(): () => string {
  const random = Array.from(randomBytes(52 - COUNTER_DIGITS), (byte) => ALPHABET[byte & 31]).join("");
  let count = 0;
  let upper = "";
  return () => {
    const lower = count % 32;
    // All digits but the last are the same for 32 ids.
    if (lower === 0) upper = random + inDigits(count / 32, COUNTER_DIGITS - 1);
    count++;
    return upper + ALPHABET[lower];
  };
}

function inDigits(count: number, length: number): string {
  let digits = "";
  for (let rest = count; digits.length < length; rest = Math.floor(rest / 32)) digits = ALPHABET[rest % 32] + digits;
  return digits;
}
