import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsSettings } from "../../src/transport/index.js";

/** An authority of a test's own, made by the machine's `openssl`. */
export class Authority {
  readonly #dir = mkdtempSync(join(tmpdir(), "evenkeel-paxos-ca-"));
  readonly ca: string;

  constructor(name = "evenkeel test") {
    this.#openssl("req", "-x509", ...newKey("ca.key"), "-out", "ca.pem", "-subj", `/CN=${name}`, "-days", "30");
    this.ca = this.#read("ca.pem");
  }

  /** A certificate in these names. `days` from now on; none is over at once. */
  issue(names: readonly string[], days = 30): TlsSettings {
    const extensions = ["basicConstraints=CA:FALSE", `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`];
    writeFileSync(join(this.#dir, "extensions"), extensions.join("\n"));
    this.#openssl("req", ...newKey("node.key"), "-out", "node.csr", "-subj", `/CN=${names[0]}`);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions"];
    this.#openssl("x509", "-req", "-in", "node.csr", ...by, "-out", "node.pem", "-days", String(days));
    return { cert: this.#read("node.pem"), key: this.#read("node.key"), ca: this.ca };
  }

  close(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), "utf8");
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.#dir, stdio: "pipe" });
  }
}

function newKey(file: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file];
}
