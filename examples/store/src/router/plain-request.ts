/** Longest head that is looked at here. */
const HEAD_BYTES_MAX = 8 * 1024;
const REQUEST_LINE = "POST / HTTP/1.1\r\n";
/** Field names are tokens, values are visible ASCII, spaces and tabs; every line ends in CRLF. */
const FIELDS = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n)+$/;
const LENGTH = /^[0-9]{1,7}$/;
/** Fields that ask for more than an answer to a request of known length. */
const SPECIAL: ReadonlySet<string> = new Set([
  "expect",
  "origin",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Names as they are sent, and what they are in lower case: programs send the same few all the time. */
const NAMES_MAX = 1_000;
const names = new Map<string, string>();
const SPACE = 0x20;
const TAB = 0x09;

export interface PlainRequest {
  /** By lower-case name; no name occurs twice. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * The request that nearly all are: a whole POST of this protocol, alone in what has arrived, with nothing about it that needs judgement. Anything
 * else, be it right or wrong, is undefined: it is for the parser that knows all of HTTP.
 */
export function plainRequest(arrived: Buffer): PlainRequest | undefined {
  const headEnd = arrived.indexOf("\r\n\r\n");
  if (headEnd < 0 || headEnd > HEAD_BYTES_MAX) return undefined;
  const head = arrived.toString("latin1", 0, headEnd + 2);
  if (!head.startsWith(REQUEST_LINE) || !FIELDS.test(head.slice(REQUEST_LINE.length))) return undefined;
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = REQUEST_LINE.length; at < head.length; ) {
    const colon = head.indexOf(":", at);
    const end = head.indexOf("\r\n", colon);
    const name = nameOf(head.slice(at, colon));
    if (name === undefined || headers[name] !== undefined) return undefined;
    headers[name] = trimmed(head, colon + 1, end);
    at = end + 2;
  }
  const { host, connection = "keep-alive", "content-length": length } = headers;
  if (host === undefined || length === undefined || !LENGTH.test(length)) return undefined;
  if (connection.toLowerCase() !== "keep-alive") return undefined;
  const bodyStart = headEnd + 4;
  return arrived.length === bodyStart + Number(length) ? { headers, body: arrived.subarray(bodyStart) } : undefined;
}

function nameOf(sent: string): string | undefined {
  const known = names.get(sent);
  if (known !== undefined) return known;
  const name = sent.toLowerCase();
  if (SPECIAL.has(name)) return undefined;
  if (names.size >= NAMES_MAX) names.clear();
  names.set(sent, name);
  return name;
}

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (start < end && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB;
