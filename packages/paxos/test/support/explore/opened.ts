import { readFileSync } from "node:fs";
import { compileFunction } from "node:vm";
import ts from "typescript";
import type { Bonds, PaxosCore } from "../../../src/core/index.js";

type Core = typeof import("../../../src/core/index.js");

/** Of all cores that are opened in one process nearly every file is the same. */
const translated = new Map<string, string>();

function translate(source: string): string {
  const { outputText } = ts.transpileModule(source.replace(/#([a-z]\w*)/gi, "$$$1"), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, verbatimModuleSyntax: false },
  });
  translated.set(source, outputText);
  return outputText;
}

/**
 * The shipped core, from its source, with one thing changed: its private fields can be seen (`#log` is read as `$log`). So its state can be taken out
 * and put back by walking all there is, and no list of fields has to be kept that could lack one.
 */
export function openedCore(changed: (file: string, text: string) => string = (_, text) => text): Core {
  const folder = new URL("../../../src/core/", import.meta.url);
  const modules = new Map<string, object>();
  const load = (file: string): object => {
    const known = modules.get(file);
    if (known !== undefined) return known;
    const exports = {};
    modules.set(file, exports);
    const source = changed(file, readFileSync(new URL(file, folder), "utf8"));
    const outputText = translated.get(source) ?? translate(source);
    const require = (name: string) => load(name.replace(/^\.\//, "").replace(/\.js$/, ".ts"));
    compileFunction(outputText, ["exports", "require"], { filename: `opened/${file}` })(exports, require);
    return exports;
  };
  return load("index.ts") as Core;
}

/** What the explorer touches by name. Each is asserted to be there, so that a change of the core's fields is noticed here. */
export interface Opened {
  $replica: {
    nowMs: number;
    role: string;
    $issued: number;
    $durable: number;
    $pending: { token: number }[];
    $held: { token: number }[];
    bonds: (Bonds & { $nowMs: number; $options: { life: number } }) | undefined;
    doubt: { open: boolean; $id: number } | undefined;
    log: { end: number; firstSlot: number; at(slot: number): unknown };
  };
  $election: { $token: number; $attempt: number; $ballot: unknown };
  $leader:
    | { $feed: { $lastAccept: unknown }; leaseUntilMs: number; ballot: { round: number; node: string } }
    | undefined;
}

export function opened(core: PaxosCore): Opened {
  return core as unknown as Opened;
}
