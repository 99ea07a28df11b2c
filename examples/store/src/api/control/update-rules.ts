/** What one UpdateTable may ask for together with what else: little. */
import { validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { UpdateTableRequest } from "../requests/control.js";
import { controlMessages } from "./messages.js";

type Part =
  | "deletion protection"
  | "encryption"
  | "table class"
  | "warm throughput"
  | "maxima on demand"
  | "billing mode"
  | "throughput"
  | "stream"
  | "new index"
  | "index deletion"
  | "index update";

interface Rule {
  /** Who asks for this ... */
  readonly part: Part;
  /** ... may ask for these as well, */
  readonly besides?: readonly Part[];
  /** or for anything but these; */
  readonly except?: readonly Part[];
  /** otherwise this is said. */
  readonly message: string;
}

/** The first that does not hold is told. */
const RULES: readonly Rule[] = [
  { part: "encryption", besides: [], message: controlMessages.onlyOperation("Server-Side Encryption") },
  { part: "table class", besides: [], message: controlMessages.onlyOperation("TableClass") },
  { part: "deletion protection", besides: [], message: controlMessages.onlyOperation("DeletionProtection") },
  { part: "warm throughput", except: ["new index"], message: controlMessages.warmWithNewIndex },
  { part: "maxima on demand", besides: ["billing mode", "index update"], message: controlMessages.maximaWithOthers },
  { part: "warm throughput", besides: ["index update"], message: controlMessages.warmAlone },
  { part: "throughput", except: ["stream"], message: controlMessages.streamWithThroughput },
  { part: "throughput", except: ["new index", "index deletion"], message: controlMessages.indexWithThroughput },
  { part: "stream", except: ["new index", "index deletion"], message: controlMessages.indexWithStream },
];

/** @throws ValidationException where nothing is asked for, or what may not be asked for together */
export function assertTogether(request: UpdateTableRequest): void {
  const parts = partsOf(request);
  if (parts.size === 0) throw validationError(controlMessages.nothingToUpdate);
  if (request.GlobalSecondaryIndexUpdates?.length === 0)
    throw validationError(messages.indexListEmpty("GlobalSecondaryIndexUpdates"));
  for (const { part, besides, except, message } of RULES) {
    if (!parts.has(part)) continue;
    for (const other of parts) {
      if (other === part) continue;
      if (besides?.includes(other) === false || except?.includes(other) === true) throw validationError(message);
    }
  }
}

function partsOf(request: UpdateTableRequest): ReadonlySet<Part> {
  const { OnDemandThroughput: maxima, WarmThroughput: warm, GlobalSecondaryIndexUpdates: updates = [] } = request;
  const asked: readonly (readonly [Part, boolean])[] = [
    ["deletion protection", request.DeletionProtectionEnabled !== undefined],
    ["encryption", request.SSESpecification !== undefined],
    ["table class", request.TableClass !== undefined],
    ["warm throughput", warm !== undefined && Object.keys(warm).length > 0],
    ["maxima on demand", maxima !== undefined && Object.keys(maxima).length > 0],
    ["billing mode", request.BillingMode !== undefined],
    ["throughput", request.ProvisionedThroughput !== undefined],
    ["stream", request.StreamSpecification !== undefined],
    ["new index", updates.some(({ Create }) => Create !== undefined)],
    ["index deletion", updates.some(({ Delete }) => Delete !== undefined)],
    // One that says nothing is told so later.
    ["index update", updates.some(({ Create, Delete }) => Create === undefined && Delete === undefined)],
  ];
  return new Set(asked.flatMap(([part, isAsked]) => (isAsked ? [part] : [])));
}
