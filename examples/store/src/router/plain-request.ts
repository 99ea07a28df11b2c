/** Longest head that is looked at here. */
const HEAD_BYTES_MAX = 8 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");
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

/** What an answer may depend on. */
const NEEDED = [
  "content-length",
  "connection",
  "content-type",
  "accept-encoding",
  "authorization",
  "x-amz-date",
  "date",
  "x-amz-target",
] as const;
type Needed = (typeof NEEDED)[number];

/** By lower-case name. */
export type PlainHeaders = { readonly [name: string]: string | undefined };

export interface PlainRequest {
  /** Those at least that an answer may depend on. */
  readonly headers: PlainHeaders;
  readonly bodyBytes: number;
  /** All that came; no name occurs twice. */
  allHeaders(): PlainHeaders;
  /** In the turn in which it arrived. */
  body(): string;
}

/**
 * Programs send the same fields in the same order all the time. A pattern of such a head says in one go whether another one has just these fields, each written as it should be, and where its values are; to look
 * at line after line takes twice as long.
 */
interface Kind {
  readonly pattern: RegExp;
  /** In which part of what the pattern finds the value of each of `NEEDED` stands; 0: in none. */
  readonly parts: Readonly<Record<Needed, number>>;
}

const KINDS_MAX = 8;
/** Where those that are known are not those that come: after so many others they are forgotten. */
const UNKNOWN_MAX = 1_000;
const kinds: Kind[] = [];
let unknown = 0;

/**
 * The request that nearly all are: a whole POST of this protocol, alone in what has arrived, with nothing about it that needs judgement. Anything
 * else, be it right or wrong, is undefined: it is for the parser that knows all of HTTP.
 */
export function plainRequest(arrived: Buffer): PlainRequest | undefined {
  const headEnd = arrived.indexOf(HEAD_END);
  if (headEnd < 0 || headEnd > HEAD_BYTES_MAX) return undefined;
  const head = arrived.toString("latin1", 0, headEnd + 2);
  const headers = headersByKind(head) ?? headersOfUnknown(head);
  if (headers === undefined) return undefined;
  const { connection } = headers;
  if (connection !== undefined && connection !== "keep-alive" && connection.toLowerCase() !== "keep-alive")
    return undefined;
  const bodyStart = headEnd + 4;
  const bodyBytes = arrived.length - bodyStart;
  if (Number(headers["content-length"]) !== bodyBytes) return undefined;
  return {
    headers,
    bodyBytes,
    allHeaders: () => headersIn(head) as PlainHeaders,
    body: () => arrived.toString("utf8", bodyStart),
  };
}

function headersByKind(head: string): PlainHeaders | undefined {
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i] as Kind;
    const found = kind.pattern.exec(head);
    if (found === null) continue;
    // What comes often is soon tried first.
    if (i > 0) [kinds[i - 1], kinds[i]] = [kind, kinds[i - 1] as Kind];
    const { parts } = kind;
    return {
      "content-length": part(found, parts["content-length"]),
      connection: part(found, parts.connection),
      "content-type": part(found, parts["content-type"]),
      "accept-encoding": part(found, parts["accept-encoding"]),
      authorization: part(found, parts.authorization),
      "x-amz-date": part(found, parts["x-amz-date"]),
      date: part(found, parts.date),
      "x-amz-target": part(found, parts["x-amz-target"]),
    };
  }
  return undefined;
}

const part = (found: readonly string[], index: number): string | undefined => (index === 0 ? undefined : found[index]);

function headersOfUnknown(head: string): PlainHeaders | undefined {
  if (!head.startsWith(REQUEST_LINE) || !FIELDS.test(head.slice(REQUEST_LINE.length))) return undefined;
  const headers = headersIn(head);
  if (headers?.host === undefined || !LENGTH.test(headers["content-length"] ?? "")) return undefined;
  if (kinds.length < KINDS_MAX) kinds.push(kindOf(head));
  else if (++unknown % UNKNOWN_MAX === 0) kinds.length = 0;
  return headers;
}

/** @returns undefined where a name occurs twice, or is a special one */
function headersIn(head: string): PlainHeaders | undefined {
  // Without any name to begin with, `__proto__` and `constructor` included.
  const headers = Object.create(null) as Record<string, string>;
  for (const line of linesOf(head)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (headers[name] !== undefined || SPECIAL.has(name)) return undefined;
    headers[name] = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
  }
  return headers;
}

const linesOf = (head: string): string[] => head.slice(REQUEST_LINE.length, -2).split("\r\n");

/** Each line can be read in one way only, so whatever comes takes time in proportion to its length. */
function kindOf(head: string): Kind {
  const parts = Object.fromEntries(NEEDED.map((name) => [name, 0])) as Record<Needed, number>;
  let count = 0;
  const lines = linesOf(head).map((line) => {
    const sent = line.slice(0, line.indexOf(":"));
    const name = NEEDED.find((needed) => needed === sent.toLowerCase());
    if (name === undefined) return `${literally(sent)}:[\\t\\x20-\\x7e]*`;
    parts[name] = ++count;
    if (name === "content-length") return `${literally(sent)}: ?([0-9]{1,7})`;
    // Other blanks around a value are for whoever reads what is of no known kind.
    return `${literally(sent)}: ?([\\x21-\\x7e](?:[\\t\\x20-\\x7e]*[\\x21-\\x7e])?)`;
  });
  return { pattern: new RegExp(`^${literally(REQUEST_LINE)}${lines.join("\\r\\n")}\\r\\n$`), parts };
}

const literally = (text: string): string =>
  text.replace(/[^A-Za-z0-9]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
