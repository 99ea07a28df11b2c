import { controlMessages } from "../../api/control/messages.js";
import { checkTableClass, type TableChange } from "../../api/control/settings.js";
import type { OnDemandRequest } from "../../api/control/throughput.js";
import { assertTogether } from "../../api/control/update-rules.js";
import { ApiError, validationError } from "../../api/errors.js";
import { assertWarmthSaid, type GlobalIndexUpdate, type IndexUpdate, indexUpdatesOf } from "../../api/index-updates.js";
import type { TableRecord } from "../../api/model.js";
import { updateTable as shape, type UpdateTableRequest } from "../../api/requests/control.js";
import { streamChange } from "../../api/streams/specification.js";
import { assertInBounds, tableDescription } from "../../api/tables.js";
import type { Operation } from "./operation.js";

export const updateTable: Operation<UpdateTableRequest> = {
  shape,
  async run(request, { backend, nowMs }) {
    const { TableName, StreamSpecification } = request;
    assertWarmthSaid(request);
    assertTogether(request);
    checkTableClass(request.TableClass);
    const indexUpdates = indexUpdatesOf(request);
    const change = changeOf(request, indexUpdates);
    const streamViewType = StreamSpecification && streamChange(StreamSpecification);
    if (streamViewType !== undefined && backend.streams === undefined) throw new ApiError("UnknownOperationException");
    const before =
      echoesFigures(request) || isToldAsItWas(request) ? await backend.describeTable(TableName) : undefined;
    const table = await backend.updateTable(TableName, {
      ...change,
      ...(indexUpdates.length > 0 && { indexUpdates }),
      ...(streamViewType !== undefined && { streamViewType }),
    });
    const now = nowMs();
    return {
      TableDescription: begunDescription(
        request,
        before && figuresOf(before, now, request),
        tableDescription(table, undefined, now),
        table,
      ),
    };
  },
};

/** Whether figures change without anything else: they are told as they were. */
const echoesFigures = ({ BillingMode, ProvisionedThroughput, GlobalSecondaryIndexUpdates = [] }: UpdateTableRequest) =>
  ProvisionedThroughput !== undefined
    ? BillingMode === undefined
    : GlobalSecondaryIndexUpdates.some(({ Update }) => Update !== undefined);

/** Whether there is something else in the request that is told as it was. */
const isToldAsItWas = ({ BillingMode, SSESpecification, TableClass, WarmThroughput = {} }: UpdateTableRequest) =>
  BillingMode !== undefined ||
  SSESpecification !== undefined ||
  TableClass !== undefined ||
  Object.keys(WarmThroughput).length > 0;

/**
 * The service answers when it has begun, and this store when it is done: told is a table whose change has begun.
 * @param before absent: nothing of it is told any more
 */
function begunDescription(
  request: UpdateTableRequest,
  before: Figures | undefined,
  told: Record<string, unknown>,
  after: TableRecord,
): Record<string, unknown> {
  const updates = request.GlobalSecondaryIndexUpdates ?? [];
  const ofIndexes = updates.some(({ Create, Delete }) => Create !== undefined || Delete !== undefined);
  const figuresAlone = echoesFigures(request) && before?.billingMode === after.billingMode ? before : undefined;
  const updated = new Map(updates.flatMap(({ Update }) => (Update ? [[Update.IndexName, Update] as const] : [])));
  const indexes = told.GlobalSecondaryIndexes as readonly Described[] | undefined;
  return {
    ...told,
    ...((ofIndexes || CHANGES_OF_STATUS.some((part) => request[part] !== undefined)) &&
      after.status === "ACTIVE" && { TableStatus: "UPDATING" }),
    ...before?.asItWas,
    ...(request.OnDemandThroughput && maximaAsAsked(request.OnDemandThroughput, told)),
    ...(figuresAlone && {
      ProvisionedThroughput: { ...(told.ProvisionedThroughput as object), ...figuresAlone.table },
    }),
    ...(indexes && {
      GlobalSecondaryIndexes: indexes.map((index) => {
        const asked = updated.get(index.IndexName);
        return asked === undefined
          ? index
          : begunIndex(asked, before?.indexes.get(index.IndexName), index, figuresAlone);
      }),
    }),
  };
}

/** @param figures absent: those that it is to have are told */
function begunIndex(
  { ProvisionedThroughput: units, OnDemandThroughput: maxima, WarmThroughput: warm }: IndexWish,
  before: FiguresOfIndex | undefined,
  told: Described,
  figures: Figures | undefined,
): Described {
  const changesFigures = units !== undefined && figures !== undefined;
  return {
    ...told,
    ...((changesFigures || maxima !== undefined) && { IndexStatus: "UPDATING" }),
    ...(changesFigures && { ProvisionedThroughput: { ...told.ProvisionedThroughput, ...before?.units } }),
    ...(warm !== undefined && { WarmThroughput: { ...before?.warm, Status: "UPDATING" } }),
  };
}

type IndexWish = NonNullable<GlobalIndexUpdate["Update"]>;

/** Whose change is under way for as long as the table is told to be. */
const CHANGES_OF_STATUS = ["ProvisionedThroughput", "BillingMode", "TableClass"] as const;

interface Described {
  readonly IndexName: string;
  readonly ProvisionedThroughput: Counted;
  readonly WarmThroughput?: object;
}

interface FiguresOfIndex {
  readonly units: Counted;
  readonly warm: object | undefined;
}

interface Counted extends Units {
  readonly NumberOfDecreasesToday: number;
}

interface Units {
  readonly ReadCapacityUnits: number;
  readonly WriteCapacityUnits: number;
}

interface Figures {
  readonly billingMode: TableRecord["billingMode"];
  readonly table: Units;
  readonly indexes: ReadonlyMap<string, FiguresOfIndex>;
  /** Other parts of the description that are about to be something else. */
  readonly asItWas: Readonly<Record<string, unknown>>;
}

function figuresOf(table: TableRecord, nowMs: number, request: UpdateTableRequest): Figures {
  const described = tableDescription(table, undefined, nowMs);
  const { NumberOfDecreasesToday, ...rest } = described.ProvisionedThroughput as Counted;
  const units = ({ ReadCapacityUnits, WriteCapacityUnits }: Units) => ({ ReadCapacityUnits, WriteCapacityUnits });
  const indexes = (described.GlobalSecondaryIndexes ?? []) as readonly Described[];
  const {
    SSEDescription: key,
    TableClassSummary: ofClass,
    WarmThroughput: warm,
    BillingModeSummary: billed,
  } = described;
  return {
    billingMode: table.billingMode,
    asItWas: {
      // That it fell is told once, and then no more.
      ...(request.BillingMode === "PAY_PER_REQUEST" &&
        table.billingMode === "PROVISIONED" && {
          ProvisionedThroughput: {
            ...(described.ProvisionedThroughput as Units),
            ReadCapacityUnits: 0,
            WriteCapacityUnits: 0,
            LastDecreaseDateTime: nowMs / 1000,
          },
        }),
      // With the key that it had, if it had one.
      ...(request.SSESpecification && { SSEDescription: { ...(key as object | undefined), Status: "UPDATING" } }),
      ...(request.TableClass && { TableClassSummary: ofClass }),
      // Since when it is on demand is told when it is.
      ...(request.BillingMode && {
        BillingModeSummary: { ...(billed as object | undefined), BillingMode: request.BillingMode },
      }),
      ...((request.BillingMode ?? request.ProvisionedThroughput) && { WarmThroughput: warm }),
      ...(Object.keys(request.WarmThroughput ?? {}).length > 0 && {
        WarmThroughput: { ...(warm as object), Status: "UPDATING" },
      }),
    },
    table: { NumberOfDecreasesToday, ...units(rest) } as Units,
    indexes: new Map(
      indexes.map(({ IndexName: name, ProvisionedThroughput, WarmThroughput }) => [
        name,
        {
          units: {
            ...units(ProvisionedThroughput),
            NumberOfDecreasesToday: ProvisionedThroughput.NumberOfDecreasesToday,
          },
          warm: WarmThroughput,
        },
      ]),
    ),
  };
}

/** A bound that is taken away is told once more, as it was asked for. */
function maximaAsAsked(asked: OnDemandRequest, told: Record<string, unknown>): Record<string, unknown> {
  const maxima = { ...(told.OnDemandThroughput as object | undefined), ...asked };
  return Object.keys(maxima).length === 0 ? {} : { OnDemandThroughput: maxima };
}

function changeOf(request: UpdateTableRequest, indexUpdates: readonly IndexUpdate[]): TableChange {
  const { BillingMode, ProvisionedThroughput: throughput, DeletionProtectionEnabled, TableClass } = request;
  const { OnDemandThroughput, WarmThroughput, SSESpecification: encryption } = request;
  if (BillingMode === "PROVISIONED" && throughput === undefined) {
    throw validationError(controlMessages.throughputWithMode);
  }
  if (BillingMode === "PAY_PER_REQUEST" && throughput !== undefined) {
    throw validationError(controlMessages.throughputWithoutMode);
  }
  assertInBounds(throughput);
  return {
    ...(BillingMode && {
      billingMode: BillingMode,
      indexesWithThroughput: indexUpdates.flatMap((update) => (update.kind === "throughput" ? [update.name] : [])),
    }),
    ...(OnDemandThroughput && { OnDemandThroughput }),
    ...(WarmThroughput && { WarmThroughput }),
    ...(encryption && { encryption }),
    ...(throughput && {
      throughput: { readUnits: throughput.ReadCapacityUnits, writeUnits: throughput.WriteCapacityUnits },
    }),
    ...(DeletionProtectionEnabled !== undefined && { deletionProtection: DeletionProtectionEnabled }),
    ...(TableClass && { tableClass: TableClass }),
  };
}
