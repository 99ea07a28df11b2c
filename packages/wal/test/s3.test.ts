import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ObjectStore, sha256 } from "../src/archive/index.js";
import { S3ObjectStore, type S3ObjectStoreOptions } from "../src/archive/s3/index.js";
import { collect } from "./collect.js";
import type { Fault, Operation } from "./s3-server/faults.js";
import { StrictS3, type StrictS3Options } from "./s3-server/server.js";

const MiB = 1024 * 1024;
const probe = ".evenkeel/create-only";

let server: StrictS3;
beforeAll(async () => {
  server = await StrictS3.start();
});
afterAll(() => server.close());
beforeEach(() => server.reset());

const open = (options: Partial<S3ObjectStoreOptions> = {}, at: StrictS3 = server) =>
  new S3ObjectStore({ bucket: at.bucketName, ...(options.client === undefined ? at.access : {}), ...options });
const trusting = (options: Partial<S3ObjectStoreOptions> = {}) => open({ createOnly: "trust", ...options });
const put = (store: ObjectStore, key: string, bytes: Uint8Array, signal?: AbortSignal) =>
  store.put(key, bytes, { sha256: sha256(bytes), createOnly: true, ...(signal === undefined ? {} : { signal }) });
const bytes = (text: string) => Buffer.from(text);
const stored = (key: string) => server.bucket.objects.get(key)?.bytes.toString();
const stage = (on: Operation, fault: Fault, times = 1, key = /^k/) => server.stage({ on, fault, times, key });
const statuses = (operation: Operation) =>
  server.requests.filter((one) => one.operation === operation && one.key !== probe).map(({ status }) => status);

describe("the server of these tests", () => {
  const send = (client: Partial<ConstructorParameters<typeof S3Client>[0]>, input: object) =>
    new S3Client({ ...server.access, region: "us-east-1", ...client }).send(
      new PutObjectCommand({ Bucket: server.bucketName, Key: "k", Body: "one", ...input }),
    );

  it("refuses a wrong secret, an unknown key, a clock that is off", async () => {
    const { accessKeyId, secretAccessKey } = server.credentials;
    const credentials = (id: string, secret: string) => ({ credentials: { accessKeyId: id, secretAccessKey: secret } });
    await expect(send(credentials(accessKeyId, "guessed"), {})).rejects.toMatchObject({
      name: "SignatureDoesNotMatch",
    });
    await expect(send(credentials("another", secretAccessKey), {})).rejects.toMatchObject({
      name: "InvalidAccessKeyId",
    });
    await expect(send({ systemClockOffset: 20 * 60_000, maxAttempts: 1 }, {})).rejects.toMatchObject({
      name: "RequestTimeTooSkewed",
    });
    await expect(send({}, {})).resolves.toMatchObject({ $metadata: { httpStatusCode: 200 } });
  });

  it("refuses a wrong checksum, and an object where there is one", async () => {
    const wrong = Buffer.from(sha256(bytes("two")), "hex").toString("base64");
    await expect(send({}, { ChecksumSHA256: wrong })).rejects.toMatchObject({ name: "BadDigest" });
    expect(server.bucket.objects.size).toBe(0);
    await send({}, { IfNoneMatch: "*" });
    await expect(send({}, { IfNoneMatch: "*" })).rejects.toMatchObject({ name: "PreconditionFailed" });
  });
});

describe("an answer that never came", () => {
  it("does not make a create-only put fail by meeting itself", async () => {
    for (const kind of ["cut after", "silent after"] as const) {
      server.reset();
      stage("PutObject", { kind });
      await put(trusting({ idleTimeoutMs: kind === "cut after" ? 30_000 : 1000 }), "k", bytes("one"));
      expect(statuses("PutObject")).toEqual([200, 412]);
      expect(stored("k")).toBe("one");
    }
  });

  it("nor where the repetition meets a conflict first", async () => {
    stage("PutObject", { kind: "cut after" });
    stage("PutObject", { kind: "refuse", status: 409, code: "ConditionalRequestConflict" });
    await put(trusting(), "k", bytes("one"));
    expect(statuses("PutObject")).toEqual([200, 409, 412]);
  });

  it("nor when it was the answer to joining the parts", async () => {
    stage("CompleteMultipartUpload", { kind: "cut after" });
    await put(trusting({ multipartBytes: MiB }), "k", Buffer.alloc(2 * MiB, 1));
    expect(server.bucket.objects.get("k")?.bytes.length).toBe(2 * MiB);
    expect(server.bucket.uploads.size).toBe(0);
  });

  it("does not make another's object ours", async () => {
    await put(trusting(), "k", bytes("theirs"));
    stage("PutObject", { kind: "cut" });
    await expect(put(trusting(), "k", bytes("ours"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
    expect(server.count("HeadObject")).toBe(1);
    expect(stored("k")).toBe("theirs");
  });
});

describe("errors say whether to ask again:", () => {
  const refuse = (status: number, code: string): Fault => ({ kind: "refuse", status, code });
  const cases: [string, Fault, string, boolean][] = [
    ["slow down", refuse(503, "SlowDown"), "ERR_ARCHIVE_STORE", true],
    ["an internal error", refuse(500, "InternalError"), "ERR_ARCHIVE_STORE", true],
    ["a proxy without a backend", refuse(502, "BadGateway"), "ERR_ARCHIVE_STORE", true],
    ["a time-out that the server noticed", refuse(400, "RequestTimeout"), "ERR_ARCHIVE_STORE", true],
    ["a connection cut", { kind: "cut" }, "ERR_ARCHIVE_STORE", true],
    ["silence", { kind: "silent" }, "ERR_ARCHIVE_STORE", true],
    ["a conflict that does not end", refuse(409, "OperationAborted"), "ERR_ARCHIVE_STORE", true],
    ["bytes damaged on the way", { kind: "damaged request" }, "ERR_ARCHIVE_CORRUPT", true],
    ["a full disk", refuse(507, "XMinioStorageFull"), "ERR_ARCHIVE_FULL", false],
    ["a quota", refuse(403, "QuotaExceeded"), "ERR_ARCHIVE_FULL", false],
    ["no permission", refuse(403, "AccessDenied"), "ERR_ARCHIVE_DENIED", false],
    ["an expired token", refuse(400, "ExpiredToken"), "ERR_ARCHIVE_DENIED", false],
    ["what is not implemented", refuse(501, "NotImplemented"), "ERR_ARCHIVE_UNSUPPORTED", false],
    ["a proxy that cannot reach the server", refuse(522, "ConnectionTimedOut"), "ERR_ARCHIVE_STORE", true],
    ["a web page with status 200", { kind: "web page" }, "ERR_ARCHIVE_STORE", true],
    ["what nobody knows", refuse(418, "Teapot"), "ERR_ARCHIVE_STORE", false],
  ];
  for (const [what, fault, code, retryable] of cases) {
    it(`${what}: ${code}, ${retryable ? "yes" : "no"}`, async () => {
      stage("PutObject", fault, 20);
      const store = trusting({ idleTimeoutMs: fault.kind === "silent" ? 200 : 30_000, attemptsMax: 1 });
      const error = await put(store, "k", bytes("one")).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ name: "ArchiveError", code, retryable, key: "k" });
      expect((error as Error).cause).toBeInstanceOf(Error);
      expect(stored("k")).toBeUndefined();
    });
  }

  it("nobody at that address: yes; a missing bucket: no, and it is never an empty archive", async () => {
    const nobody = trusting({ endpoint: "http://127.0.0.1:1", attemptsMax: 1 });
    await expect(put(nobody, "k", bytes("one"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_STORE", retryable: true });
    const nowhere = open({ bucket: "nowhere" });
    const missing = { code: "ERR_ARCHIVE_STORE", retryable: false };
    await expect(nowhere.get("k")).rejects.toMatchObject(missing);
    await expect(collect(nowhere.list(""))).rejects.toMatchObject(missing);
    await expect(put(nowhere, "k", bytes("one"))).rejects.toMatchObject(missing);
  });

  it("a web page with status 200, from a proxy in between, is no answer to anything: yes", async () => {
    const store = open({ attemptsMax: 1, multipartBytes: MiB * 5, partBytes: MiB * 5 });
    server.stage({ on: "PutObject", key: /create-only/, times: 2, fault: { kind: "web page" } });
    const passes = { code: "ERR_ARCHIVE_STORE", retryable: true };
    await expect(put(store, "k", bytes("one")), "whether it honours create-only").rejects.toMatchObject(passes);
    server.clearFaults();
    await put(store, "k", bytes("one"));
    for (const operation of ["GetObject", "ListObjectsV2"] as const)
      server.stage({ on: operation, times: 9, fault: { kind: "web page" } });
    await expect(store.get("k")).rejects.toMatchObject(passes);
    await expect(collect(store.list(""))).rejects.toMatchObject(passes);
    const large = Buffer.alloc(MiB * 5 + 1);
    for (const operation of ["HeadObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] as const) {
      server.stage({ on: operation, times: 1, fault: { kind: "web page" } });
      await expect(put(store, "large", large), operation).rejects.toMatchObject(passes);
    }
    server.clearFaults();
    await put(store, "large", large);
    expect(server.bucket.uploads.size).toBe(0);
  });

  it("the SDK's own attempts come first", async () => {
    stage("PutObject", refuse(500, "InternalError"), 2);
    stage("GetObject", { kind: "cut" }, 2);
    const store = trusting();
    await put(store, "k", bytes("one"));
    expect(Buffer.from((await store.get("k")) ?? []).toString()).toBe("one");
    expect(statuses("PutObject")).toEqual([500, 500, 200]);
  });

  it("a conflict that ends is nobody's concern", async () => {
    stage("PutObject", refuse(409, "ConditionalRequestConflict"), 3);
    await put(trusting(), "k", bytes("one"));
    expect(statuses("PutObject")).toEqual([409, 409, 409, 200]);
  });
});

describe("a read", () => {
  const clients: Record<string, () => S3ObjectStore> = {
    "the store's own client": () => trusting({ attemptsMax: 1 }),
    "a client that checks by itself": () =>
      trusting({ client: new S3Client({ ...server.access, region: "us-east-1", maxAttempts: 1 }) }),
  };
  for (const [title, make] of Object.entries(clients)) {
    it(`of an object with a changed byte is refused, whole or in parts (${title})`, async () => {
      const store = make();
      await put(store, "k1", bytes("a small one"));
      await put(trusting({ multipartBytes: MiB }), "k2", Buffer.alloc(6 * MiB, 7));
      for (const [key, at] of [
        ["k1", 3],
        ["k2", 5_500_000],
      ] as const) {
        stage("GetObject", { kind: "rot", at }, 2);
        await expect(store.get(key)).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT", retryable: false, key });
        expect((await store.get(key))?.length).toBeGreaterThan(0);
      }
    });

    it(`damaged on the way is read again (${title})`, async () => {
      const store = make();
      await put(store, "k", bytes("one"));
      stage("GetObject", { kind: "rot" });
      expect(Buffer.from((await store.get("k")) ?? []).toString()).toBe("one");
      expect(server.count("GetObject")).toBe(2);
    });

    it(`that ends early is no object (${title})`, async () => {
      const store = make();
      await put(store, "k", Buffer.alloc(100_000, 1));
      stage("GetObject", { kind: "short" });
      await expect(store.get("k")).rejects.toMatchObject({ code: "ERR_ARCHIVE_STORE", retryable: true });
    });
  }

  it("that stands still is given up, and ends at once when told to", async () => {
    await put(trusting(), "k", Buffer.alloc(100_000, 1));
    stage("GetObject", { kind: "stalled" }, 2);
    await expect(trusting({ idleTimeoutMs: 300 }).get("k")).rejects.toMatchObject({
      code: "ERR_ARCHIVE_STORE",
      retryable: true,
    });
    const stop = new AbortController();
    const patient = trusting();
    const reading = patient.get("k", { signal: stop.signal });
    while (server.count("GetObject") < 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
  });

  it("of what another program put there is checked for its length", async () => {
    const client = new S3Client({ ...server.access, region: "us-east-1" });
    await client.send(new PutObjectCommand({ Bucket: server.bucketName, Key: "k", Body: "theirs" }));
    expect(Buffer.from((await open().get("k")) ?? []).toString()).toBe("theirs");
  });

  it("is bounded", async () => {
    await put(trusting(), "k", Buffer.alloc(1000));
    const small = trusting({ objectBytesMax: 999 });
    await expect(small.get("k")).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
    await expect(put(small, "k2", Buffer.alloc(1000))).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
  });
});

describe("an upload in parts", () => {
  const inParts = (options: Partial<S3ObjectStoreOptions> = {}) =>
    trusting({ multipartBytes: 5 * MiB, partBytes: 5 * MiB, attemptsMax: 1, ...options });
  const data = Buffer.alloc(11 * MiB, 5);

  it("is what a large object takes, and a small one does not", async () => {
    await put(inParts(), "k/large", data);
    expect(server.count("UploadPart")).toBe(3);
    expect(server.bucket.objects.get("k/large")?.checksum).toMatch(/-3$/);
    await put(inParts(), "k/small", data.subarray(0, 5 * MiB));
    expect(server.count("UploadPart")).toBe(3);
  });

  it("that exists already is noticed before anything is sent", async () => {
    await put(inParts(), "k", bytes("there"));
    await expect(put(inParts(), "k", data)).rejects.toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
    expect(server.count("UploadPart")).toBe(0);
  });

  it("that another overtakes is told so, and leaves nothing behind", async () => {
    stage("HeadObject", { kind: "refuse", status: 404, code: "NoSuchKey" });
    await put(inParts(), "k", bytes("there"));
    await expect(put(inParts(), "k", data)).rejects.toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
    expect(stored("k")).toBe("there");
    expect(server.bucket.uploads.size).toBe(0);
  });

  const faults: [Operation, Fault][] = [
    ["UploadPart", { kind: "refuse", status: 500, code: "InternalError" }],
    ["UploadPart", { kind: "cut after" }],
    ["UploadPart", { kind: "damaged request" }],
    ["CompleteMultipartUpload", { kind: "refuse", status: 503, code: "SlowDown" }],
    ["CompleteMultipartUpload", { kind: "refuse", status: 404, code: "NoSuchUpload" }],
    ["CompleteMultipartUpload", { kind: "error in 200", code: "InternalError" }],
  ];
  for (const [operation, fault] of faults) {
    it(`whose ${operation} fails (${fault.kind}) is aborted, and can be made again`, async () => {
      stage(operation, fault);
      const error = await put(inParts(), "k", data).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ name: "ArchiveError", retryable: true });
      expect(server.bucket.uploads.size).toBe(0);
      // Only an answer that came late, in the body, may have stored.
      const again = await put(inParts(), "k", data).catch((caught: unknown) => caught);
      if (fault.kind === "error in 200") expect(again).toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
      else expect(again).toBeUndefined();
      expect(server.bucket.objects.get("k")?.bytes.equals(data)).toBe(true);
    });
  }

  it("tries a part again by itself", async () => {
    stage("UploadPart", { kind: "refuse", status: 500, code: "InternalError" }, 2);
    await put(inParts({ attemptsMax: 3 }), "k", data);
    expect(server.count("CreateMultipartUpload")).toBe(1);
  });

  it("that is stopped in the middle is aborted", async () => {
    stage("UploadPart", { kind: "silent" });
    const stop = new AbortController();
    const uploading = put(inParts(), "k", data, stop.signal);
    while (server.count("UploadPart") < 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new Error("enough"));
    await expect(uploading).rejects.toThrow("enough");
    expect(server.bucket.uploads.size).toBe(0);
    expect(stored("k")).toBeUndefined();
  });

  it("that cannot even be aborted is reported, with what an operator needs to do it", async () => {
    const seen: unknown[] = [];
    const listen = (message: unknown) => seen.push(message);
    subscribe("evenkeel:wal:archive-upload-left", listen);
    stage("UploadPart", { kind: "cut" });
    stage("AbortMultipartUpload", { kind: "refuse", status: 403, code: "AccessDenied" });
    await expect(put(inParts(), "k", data)).rejects.toMatchObject({ retryable: true });
    unsubscribe("evenkeel:wal:archive-upload-left", listen);
    const [uploadId] = server.bucket.uploads.keys();
    expect(seen).toEqual([{ bucket: server.bucketName, key: "k", uploadId, error: expect.any(Error) }]);
  });
});

const withServer = async (options: StrictS3Options, work: (other: StrictS3) => Promise<void>) => {
  const other = await StrictS3.start(options);
  try {
    await work(other);
  } finally {
    await other.close();
  }
};

describe("a server that does not know", () => {
  const all = async (store: ObjectStore) => {
    const large = Buffer.alloc(6 * MiB, 3);
    await put(store, "k/small", bytes("one"));
    await put(store, "k/large", large);
    expect(Buffer.from((await store.get("k/small")) ?? []).toString()).toBe("one");
    expect(Buffer.from((await store.get("k/large")) ?? []).equals(large)).toBe(true);
    expect(await collect(store.list(""))).toEqual(["k/large", "k/small"]);
    await store.delete("k/large");
  };

  it("the SDK's own checksums is served: the store's client never sends any", () =>
    withServer(
      {
        unknownHeaders: [
          "x-amz-checksum-crc32",
          "x-amz-sdk-checksum-algorithm",
          "x-amz-checksum-mode",
          "x-amz-trailer",
        ],
      },
      (other) => all(open({ multipartBytes: 5 * MiB }, other)),
    ));

  it("any checksum is served where that is asked for, and says what it refuses where not", () =>
    withServer({ unknownHeaders: ["x-amz-checksum-sha256", "x-amz-checksum-algorithm"] }, async (other) => {
      await expect(put(open({}, other), "k", bytes("one"))).rejects.toMatchObject({
        code: "ERR_ARCHIVE_UNSUPPORTED",
        message: expect.stringContaining("x-amz-checksum-sha256"),
      });
      await all(open({ multipartBytes: 5 * MiB, checksums: false }, other));
    }));
});

describe("whether the server honours create-only", () => {
  it("is tried once before the first one that matters: two small requests, one where somebody did before", async () => {
    const first = open();
    await first.put("k0", bytes("zero"), { sha256: sha256(bytes("zero")) });
    expect(server.count("PutObject")).toBe(1);
    await Promise.all([put(first, "k1", bytes("one")), put(first, "k2", bytes("two"))]);
    expect(server.count("PutObject")).toBe(5);
    await put(open(), "k3", bytes("three"));
    expect(server.count("PutObject")).toBe(7);
    expect(server.bucket.objects.has(probe)).toBe(true);
    expect(await collect(first.list(""))).toEqual(["k0", "k1", "k2", "k3"]);
  });

  it("a server that overwrites is found out before it can", () =>
    withServer({ createOnly: "ignore" }, async (other) => {
      await open({ createOnly: "trust" }, other).put("k", bytes("one"), { sha256: sha256(bytes("one")) });
      const store = open({}, other);
      await expect(put(store, "k", bytes("two"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
      expect(other.bucket.objects.get("k")?.bytes.toString()).toBe("one");
      // This is what trusting it would do.
      await put(open({ createOnly: "trust" }, other), "k", bytes("two"));
      expect(other.bucket.objects.get("k")?.bytes.toString()).toBe("two");
    }));

  it("a server that does not know the header is refused as well", () =>
    withServer({ createOnly: "refuse" }, async (other) => {
      await expect(put(open({}, other), "k", bytes("one"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
    }));

  it("what could not be found out is asked again, and a caller may stop waiting for it", async () => {
    server.stage({ on: "PutObject", key: /create-only/, fault: { kind: "cut" } });
    const store = open({ attemptsMax: 1 });
    await expect(put(store, "k", bytes("one"))).rejects.toMatchObject({ retryable: true });
    server.stage({ on: "PutObject", key: /create-only/, fault: { kind: "silent" } });
    const stop = new AbortController();
    const impatient = put(store, "k", bytes("one"), stop.signal);
    stop.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    await put(open(), "k", bytes("one"));
  });
});

describe("a listing", () => {
  it("out of order, or that does not say how to go on, is refused: it could hide what is there", async () => {
    const answering = (answer: object) => trusting({ client: { send: async () => answer } as unknown as S3Client });
    const page = (keys: string[], more = {}) => ({ Contents: keys.map((Key) => ({ Key })), ...more });
    for (const answer of [page(["b", "a"]), page(["a", "a"]), page(["a"], { IsTruncated: true })]) {
      await expect(collect(answering(answer).list(""))).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
    }
    expect(await collect(answering(page(["a", "b"])).list(""))).toEqual(["a", "b"]);
  });

  it("passes over what is no key of an archive", async () => {
    const client = new S3Client({ ...server.access, region: "us-east-1" });
    for (const Key of ["folder/", ".hidden", "with space", "a/b"]) {
      await client.send(new PutObjectCommand({ Bucket: server.bucketName, Key, Body: "x" }));
    }
    expect(await collect(open().list(""))).toEqual(["a/b"]);
  });
});

it("counts what it does", async () => {
  const store = open();
  await put(store, "k", bytes("one"));
  await put(store, "k", bytes("two")).catch(() => undefined);
  await store.get("k");
  await store.get("none");
  await collect(store.list(""));
  await store.delete("k");
  expect(store.stats()).toEqual({ puts: 1, gets: 2, pages: 1, deletes: 1, failures: 1, bytesPut: 3, bytesGot: 3 });
});

describe("options", () => {
  it("that cannot be meant are refused by name", () => {
    const make = (options: object) => () => new S3ObjectStore({ bucket: "b", region: "us-east-1", ...options });
    for (const [name, value] of [
      ["bucket", ""],
      ["bucket", undefined],
      ["prefix", "no-slash"],
      ["prefix", "../"],
      ["prefix", "/"],
      ["partBytes", 1024],
      ["partsInFlightMax", 0],
      ["multipartBytes", -1],
      ["objectBytesMax", 2 ** 40],
      ["keysPerPageMax", 1001],
      ["attemptsMax", 0],
      ["idleTimeoutMs", Number.NaN],
      ["checksums", "yes"],
      ["createOnly", true],
    ] as const) {
      expect(make({ [name]: value }), `${name} ${String(value)}`).toThrow(new RegExp(`^${name} must be`));
    }
    const client = new S3Client({ region: "us-east-1" });
    expect(() => new S3ObjectStore({ bucket: "b", client, endpoint: "http://x" })).toThrow(
      /^endpoint must be left out/,
    );
  });

  it("close destroys only a client of the store's own", async () => {
    let destroyed = 0;
    const client = { send: async () => ({}), destroy: () => destroyed++ } as unknown as S3Client;
    trusting({ client }).close();
    expect(destroyed).toBe(0);
    await using store = trusting();
    await put(store, "k", bytes("one"));
  });
});
