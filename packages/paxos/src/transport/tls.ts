import type { PeerCertificate, SecureContextOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import { badArgument } from "../core/errors.js";

/** What a node shows, and whom it believes. PEM, as `node:tls` takes it. */
export interface TlsSettings {
  /** This node's certificate (with what leads from it to the authority), and its key. */
  readonly cert: string | Uint8Array;
  /** Its private key, PEM. */
  readonly key: string | Uint8Array;
  /** The authorities that may vouch for a node, and no others: those that the system trusts do not count here. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[];
  /** The node ids that a certificate may speak for. Its common name and its DNS names unless told. */
  readonly namesOf?: (certificate: PeerCertificate) => readonly string[];
}

/** Both sides of every connection: each shows a certificate, of the one authority, in its own name. */
export interface TlsContext {
  readonly secure: SecureContextOptions & { readonly minVersion: "TLSv1.3" };
  readonly vouchesFor: (certificate: PeerCertificate | undefined, nodeId: string) => boolean;
}

/** @throws PaxosError ERR_PAXOS_ARGUMENT */
export function tlsContext(given: TlsSettings): TlsContext {
  const { cert, key, ca, namesOf = namesIn } = given;
  for (const [name, value] of Object.entries({ cert, key, ca })) {
    if (value === undefined || value.length === 0) throw badArgument(`tls.${name}`, "PEM", value);
  }
  if (typeof namesOf !== "function") throw badArgument("tls.namesOf", "a function", namesOf);
  const secure = { cert: pem(cert), key: pem(key), ca: pems(ca).map(pem), minVersion: "TLSv1.3" } as const;
  try {
    createSecureContext(secure);
  } catch (cause) {
    throw badArgument("tls", "a certificate, its key and an authority, in PEM", (cause as Error).message);
  }
  return {
    secure,
    vouchesFor: (certificate, nodeId) => certificate?.subject !== undefined && namesOf(certificate).includes(nodeId),
  };
}

function pems(ca: TlsSettings["ca"]): readonly (string | Uint8Array)[] {
  return typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca;
}

function pem(value: string | Uint8Array): string | Buffer {
  return typeof value === "string" ? value : Buffer.from(value);
}

/** Names with a quote, a comma or a backslash come escaped, and are nobody's. */
function namesIn({ subject, subjectaltname }: PeerCertificate): string[] {
  const names = typeof subject.CN === "string" ? [subject.CN] : [];
  for (const one of (subjectaltname ?? "").split(", ")) {
    const dns = /^DNS:([^"\\,]+)$/.exec(one);
    if (dns?.[1] !== undefined) names.push(dns[1]);
  }
  return names;
}
