import { crc32 } from "node:zlib";

/** Of what is kept as lines of text. */
export const checksum = (text: string): string => crc32(text).toString(16);
