import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Bucket, type StoredObject, storedObject } from "./bucket.js";
import { type Fault, type Operation, Stage, type Staged } from "./faults.js";
import { errorXml, escapeXml, Refusal } from "./refusal.js";
import { type Credentials, verifyPayload, verifySignature } from "./signature.js";

export interface StrictS3Options {
  /** `"ignore"` overwrites in spite of `If-None-Match`; `"refuse"` does not know the header. Default "honour". */
  readonly createOnly?: "honour" | "ignore" | "refuse";
  /** Headers that it does not know, and says so, as a number of S3-compatible servers do with the newer checksums. */
  readonly unknownHeaders?: readonly string[];
}

/**
 * A small S3 that holds its clients to the letter: signatures with their secret, payload hashes, checksums, `If-None-Match`, parts. What it does not know
 * it refuses. And it can be told to behave as a server does on its worst day.
 */
export class StrictS3 {
  readonly bucketName = "archive";
  readonly credentials: Credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "only the two of us know" };
  readonly bucket = new Bucket();
  readonly requests: { readonly operation: Operation; readonly key: string; readonly status: number }[] = [];
  readonly #options: StrictS3Options;
  readonly #server: Server;
  readonly #stage = new Stage();
  #listing: readonly string[] | undefined;

  private constructor(options: StrictS3Options) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(options: StrictS3Options = {}): Promise<StrictS3> {
    const server = new StrictS3(options);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client needs to come in. */
  get access() {
    return { endpoint: this.endpoint, credentials: this.credentials, forcePathStyle: true };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  stage(staged: Staged): void {
    this.#stage.add(staged);
  }

  /** Nothing is staged any more; what is stored stays. */
  clearFaults(): void {
    this.#stage.clear();
  }

  /** Empty, and nothing staged: for the next test. */
  reset(): void {
    this.#stage.clear();
    this.#listing = undefined;
    this.requests.length = 0;
    this.bucket.objects.clear();
    this.bucket.uploads.clear();
  }

  /** From now on listings show what is there now. */
  freezeListing(): void {
    this.#listing = [...this.bucket.objects.keys()];
  }

  /** Listings show what is there again. */
  thawListing(): void {
    this.#listing = undefined;
  }

  count(operation: Operation): number {
    return this.requests.filter((request) => request.operation === operation).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://host");
    const [, bucketName, ...rest] = url.pathname.split("/");
    const key = rest.map(decodeURIComponent).join("/");
    const since = this.bucket.now;
    let operation: Operation | undefined;
    let fault: Fault | undefined;
    try {
      operation = operationOf(request.method ?? "", key, url.searchParams);
      const body = await bodyOf(request);
      verifySignature(request, this.credentials, Date.now());
      if (bucketName !== this.bucketName) throw new Refusal(404, "NoSuchBucket");
      const unknown = this.#options.unknownHeaders?.find((name) => name in request.headers);
      if (unknown !== undefined) throw new Refusal(501, "NotImplemented", unknown);
      fault = this.#stage.take(operation, key || (url.searchParams.get("prefix") ?? ""));
      if (fault?.kind === "refuse") throw new Refusal(fault.status, fault.code);
      if (fault?.kind === "cut") return void request.socket.destroy();
      if (fault?.kind === "silent") return;
      if (fault?.kind === "web page") return webPage(response);
      if (fault?.kind === "damaged request" && body.length > 0) body[0] = (body[0] as number) ^ 1;
      verifyPayload(request, body);
      const answer = this.#do(operation, key, url.searchParams, request, body, since);
      if (fault?.kind === "lost") this.bucket.delete(key);
      this.requests.push({ operation, key, status: answer.status });
      this.#send(request, response, answer, fault);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, "InternalError", String(error));
      this.requests.push({ operation: operation ?? "GetObject", key, status: refusal.status });
      const body = request.method === "HEAD" ? Buffer.alloc(0) : Buffer.from(errorXml(refusal));
      this.#send(
        request,
        response,
        { status: refusal.status, headers: { "content-type": "application/xml" }, body },
        undefined,
      );
    }
  }

  #do(
    operation: Operation,
    key: string,
    query: URLSearchParams,
    request: IncomingMessage,
    body: Buffer,
    since: number,
  ): Answer {
    const { headers } = request;
    const id = query.get("uploadId") ?? "";
    switch (operation) {
      case "PutObject": {
        this.bucket.put(key, storedObject(body, headers), this.#condition(request, since));
        return { status: 200, headers: { etag: this.#mustHave(key).etag } };
      }
      case "GetObject":
      case "HeadObject": {
        const object = this.#mustHave(key);
        return {
          status: 200,
          headers: headersOf(object, headers),
          ...(operation === "GetObject" ? { body: object.bytes } : {}),
        };
      }
      case "DeleteObject":
        this.bucket.delete(key);
        return { status: 204 };
      case "ListObjectsV2":
        return xml(this.#list(query));
      case "CreateMultipartUpload": {
        const { metadata } = storedObject(Buffer.alloc(0), headers);
        const uploadId = this.bucket.begin(key, metadata, headers["x-amz-checksum-algorithm"] === "SHA256");
        return xml(`<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`);
      }
      case "UploadPart": {
        const upload = this.bucket.upload(id, key);
        const part = storedObject(body, headers);
        if (upload.checksums && part.checksum === undefined)
          throw new Refusal(400, "InvalidRequest", "checksum missing");
        upload.parts.set(Number(query.get("partNumber")), part);
        return { status: 200, headers: { etag: part.etag } };
      }
      case "CompleteMultipartUpload": {
        const object = this.bucket.joined(id, key, partsOf(body.toString()));
        this.bucket.put(key, object, this.#condition(request, since));
        this.bucket.uploads.delete(id);
        return xml(
          `<CompleteMultipartUploadResult><ETag>${escapeXml(object.etag)}</ETag></CompleteMultipartUploadResult>`,
        );
      }
      case "AbortMultipartUpload":
        this.bucket.upload(id, key);
        this.bucket.uploads.delete(id);
        return { status: 204 };
    }
  }

  #condition(request: IncomingMessage, since: number): { ifNoneMatch: boolean; since: number } {
    const header = request.headers["if-none-match"];
    if (header === undefined || this.#options.createOnly === "ignore") return { ifNoneMatch: false, since };
    if (header !== "*" || this.#options.createOnly === "refuse") throw new Refusal(501, "NotImplemented");
    return { ifNoneMatch: true, since };
  }

  #mustHave(key: string): StoredObject {
    const object = this.bucket.objects.get(key);
    if (object === undefined) throw new Refusal(404, "NoSuchKey");
    return object;
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
    const max = Number(query.get("max-keys") ?? 1000);
    const keys = [...(this.#listing ?? this.bucket.objects.keys())]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort();
    const page = keys.slice(0, max);
    const contents = page.map((key) => `<Contents><Key>${escapeXml(key)}</Key></Contents>`).join("");
    const more = keys.length > page.length;
    const token = more ? `<NextContinuationToken>${escapeXml(page.at(-1) ?? "")}</NextContinuationToken>` : "";
    return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${contents}${token}</ListBucketResult>`;
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: Answer, fault: Fault | undefined): void {
    if (fault?.kind === "cut after") return void request.socket.destroy();
    if (fault?.kind === "silent after") return;
    if (fault?.kind === "error in 200") {
      response.writeHead(200, { "content-type": "application/xml" });
      return void response.end(errorXml(new Refusal(200, fault.code)));
    }
    let body = answer.body ?? Buffer.alloc(0);
    if (fault?.kind === "rot") {
      body = Buffer.from(body);
      const at = (fault.at ?? 0) % body.length;
      body[at] = (body[at] as number) ^ 1;
    }
    const length = request.method === "HEAD" ? {} : { "content-length": body.length };
    response.writeHead(answer.status, { ...length, ...answer.headers });
    if (fault?.kind === "short" || fault?.kind === "stalled") {
      response.write(body.subarray(0, body.length >> 1), () => {
        if (fault.kind === "short") request.socket.destroy();
      });
      return;
    }
    response.end(body);
  }
}

function webPage(response: ServerResponse): void {
  const body = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in.</p></body></html>";
  response.writeHead(200, { "content-type": "text/html", "content-length": body.length });
  response.end(body);
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string | number>;
  readonly body?: Buffer;
}

function xml(text: string): Answer {
  return {
    status: 200,
    headers: { "content-type": "application/xml" },
    body: Buffer.from(`<?xml version="1.0"?>${text}`),
  };
}

function headersOf(object: StoredObject, asked: IncomingMessage["headers"]): Record<string, string | number> {
  const metadata = Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
  return {
    ...(Object.fromEntries(metadata) as Record<string, string>),
    etag: object.etag,
    "content-length": object.bytes.length,
    ...(asked["x-amz-checksum-mode"] === "ENABLED" && object.checksum !== undefined
      ? { "x-amz-checksum-sha256": object.checksum }
      : {}),
  };
}

function operationOf(method: string, key: string, query: URLSearchParams): Operation {
  if (key === "" && method === "GET" && query.get("list-type") === "2") return "ListObjectsV2";
  if (key !== "") {
    if (method === "POST" && query.has("uploads")) return "CreateMultipartUpload";
    if (method === "POST" && query.has("uploadId")) return "CompleteMultipartUpload";
    if (method === "PUT") return query.has("uploadId") ? "UploadPart" : "PutObject";
    if (method === "GET") return "GetObject";
    if (method === "HEAD") return "HeadObject";
    if (method === "DELETE") return query.has("uploadId") ? "AbortMultipartUpload" : "DeleteObject";
  }
  throw new Refusal(501, "NotImplemented", `${method} ${key}?${query}`);
}

function partsOf(text: string): { number: number; etag: string; checksum: string | undefined }[] {
  return [...text.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = ""]) => {
    const field = (name: string) =>
      new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(part)?.[1]?.replaceAll("&quot;", '"');
    return { number: Number(field("PartNumber")), etag: field("ETag") ?? "", checksum: field("ChecksumSHA256") };
  });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
