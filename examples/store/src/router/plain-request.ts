/** Longest head that is looked at here. */
const HEAD_BYTES_MAX = 8 * 1024;
const REQUEST_LINE = "POST / HTTP/1.1\r\n";
/** Field names are tokens, values are visible ASCII, spaces and tabs; every line ends in CRLF. */
const FIELDS = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n)+$/;
const LENGTH = /^[0-9]{1,7}$/;
/** Fields that ask for more than an answer to a request of known length. */
const SPECIAL: ReadonlySet<string> = new Set([
  "content-encoding",
  "expect",
  "origin",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

interface Field {
  /** Its name as it is sent, with the colon. */
  readonly sent: string;
  /** In lower case. */
  readonly name: string;
}

/** Names as they are sent, and what they are in lower case: programs send the same few all the time. */
const NAMES_MAX = 1_000;
const fieldsBySent = new Map<string, Field>();
/** What was last seen in each of the first lines: programs send their fields in the same order, and to compare is far less than to look up. */
const LINES_MAX = 32;
const fieldsByLine: Field[] = [];
const SPACE = 0x20;
const TAB = 0x09;

export interface PlainRequest {
  /** By lower-case name; no name occurs twice. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  /** In the turn in which it arrived. */
  body(): string;
}

/** Without any name to begin with, `__proto__` and `constructor` included. What is made from it V8 keeps as an object with fields; what has no prototype at all it keeps as a table, which takes much longer to fill. */
const BARE = Object.create(null) as Record<string, string>;

/**
 * The request that nearly all are: a whole POST of this protocol, alone in what has arrived, with nothing about it that needs judgement. Anything
 * else, be it right or wrong, is undefined: it is for the parser that knows all of HTTP.
 */
export function plainRequest(arrived: Buffer): PlainRequest | undefined {
  const headEnd = arrived.indexOf("\r\n\r\n");
  if (headEnd < 0 || headEnd > HEAD_BYTES_MAX) return undefined;
  const head = arrived.toString("latin1", 0, headEnd + 2);
  if (!head.startsWith(REQUEST_LINE) || !FIELDS.test(head.slice(REQUEST_LINE.length))) return undefined;
  const headers = Object.create(BARE) as Record<string, string>;
  for (let at = REQUEST_LINE.length, line = 0; at < head.length; line++) {
    let field = fieldsByLine[line];
    if (field === undefined || !head.startsWith(field.sent, at)) {
      field = fieldOf(head.slice(at, head.indexOf(":", at) + 1));
      if (field === undefined) return undefined;
      if (line < LINES_MAX) fieldsByLine[line] = field;
    }
    const { sent, name } = field;
    if (headers[name] !== undefined) return undefined;
    const colonEnd = at + sent.length;
    const end = head.indexOf("\r\n", colonEnd);
    headers[name] = trimmed(head, colonEnd, end);
    at = end + 2;
  }
  const { host, connection = "keep-alive", "content-length": length } = headers;
  if (host === undefined || length === undefined || !LENGTH.test(length)) return undefined;
  if (connection.toLowerCase() !== "keep-alive") return undefined;
  const bodyStart = headEnd + 4;
  if (arrived.length !== bodyStart + Number(length)) return undefined;
  return { headers, bodyBytes: arrived.length - bodyStart, body: () => arrived.toString("utf8", bodyStart) };
}

function fieldOf(sent: string): Field | undefined {
  const known = fieldsBySent.get(sent);
  if (known !== undefined) return known;
  const name = sent.slice(0, -1).toLowerCase();
  if (SPECIAL.has(name)) return undefined;
  if (fieldsBySent.size >= NAMES_MAX) fieldsBySent.clear();
  const field = { sent, name };
  fieldsBySent.set(sent, field);
  return field;
}

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (start < end && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB;
