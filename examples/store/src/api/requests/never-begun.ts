/** What operations take that would begin what there is none of here. */

import { globalIndexes, indexName } from "./indexes.js";
import { type Shape, type StructureShape, structure } from "./shapes.js";
import {
  attributeDefinitions,
  billingMode,
  encryption,
  keySchema,
  onDemandThroughput,
  tableName,
  throughput,
} from "./table-parts.js";
import type { CreateTableRequest } from "./tables.js";

export interface PutPolicyRequest {
  ResourceArn: string;
  Policy: string;
  ExpectedRevisionId?: string;
}

export const putResourcePolicy: StructureShape = structure("PutResourcePolicyInput", {
  ResourceArn: { type: "string", required: true, lengthMin: 1, lengthMax: 1283 },
  Policy: { type: "string", required: true },
  ExpectedRevisionId: { type: "string", lengthMin: 1, lengthMax: 255 },
  ConfirmRemoveSelfResourceAccess: { type: "boolean" },
});

export interface UpdateInsightsRequest {
  TableName: string;
  IndexName?: string;
  ContributorInsightsAction: "ENABLE" | "DISABLE";
}

export const updateContributorInsights: StructureShape = structure("UpdateContributorInsightsInput", {
  TableName: tableName,
  IndexName: { type: "string" },
  ContributorInsightsAction: { type: "string", required: true, oneOf: ["ENABLE", "DISABLE"] },
  ContributorInsightsMode: { type: "string", oneOf: ["THROTTLED_KEYS", "ACCESSED_AND_THROTTLED_KEYS"] },
});

const units: Shape = { type: "integer", wire: "Long", min: 1 };
const autoScaling: Shape = structure("AutoScalingSettingsUpdate", {
  MinimumUnits: units,
  MaximumUnits: units,
  AutoScalingDisabled: { type: "boolean" },
  AutoScalingRoleArn: { type: "string", lengthMin: 1, lengthMax: 1600 },
});
const { required: _, ...optionalIndex } = indexName;

export const updateTableReplicaAutoScaling: StructureShape = structure("UpdateTableReplicaAutoScalingInput", {
  GlobalSecondaryIndexUpdates: {
    type: "list",
    lengthMin: 1,
    of: structure("GlobalSecondaryIndexAutoScalingUpdate", {
      IndexName: optionalIndex as Shape,
      ProvisionedWriteCapacityAutoScalingUpdate: autoScaling,
    }),
  },
  TableName: tableName,
  ProvisionedWriteCapacityAutoScalingUpdate: autoScaling,
  ReplicaUpdates: {
    type: "list",
    lengthMin: 1,
    of: structure("ReplicaAutoScalingUpdate", {
      RegionName: { type: "string", required: true },
      ReplicaGlobalSecondaryIndexUpdates: {
        type: "list",
        of: structure("ReplicaGlobalSecondaryIndexAutoScalingUpdate", {
          IndexName: optionalIndex as Shape,
          ProvisionedReadCapacityAutoScalingUpdate: autoScaling,
        }),
      },
      ReplicaProvisionedReadCapacityAutoScalingUpdate: autoScaling,
    }),
  },
});

export interface DestinationRequest {
  TableName: string;
  StreamArn: string;
  EnableKinesisStreamingConfiguration?: object;
  UpdateKinesisStreamingConfiguration?: object;
}

const precision: Readonly<Record<string, Shape>> = {
  ApproximateCreationDateTimePrecision: { type: "string", oneOf: ["MILLISECOND", "MICROSECOND"] },
};

/** @param configuration what is said of the stream's times, under the name that the operation has for it */
export const streamingDestination = (name: string, configuration: string): StructureShape =>
  structure(name, {
    TableName: tableName,
    StreamArn: { type: "string", required: true, lengthMin: 37, lengthMax: 1024 },
    [configuration]: structure(configuration, precision),
  });

const bucket: Shape = {
  type: "string",
  required: true,
  lengthMax: 255,
  pattern: /^[a-z0-9A-Z][.\-\w]*[a-z0-9A-Z]$/,
  patternTold: "^[a-z0-9A-Z]+[\\.\\-\\w]*[a-z0-9A-Z]+$",
};
const bucketOwner: Shape = { type: "string", pattern: /^[0-9]{12}$/ };
const prefix: Shape = { type: "string", lengthMax: 1024 };
const clientToken: Shape = { type: "string", pattern: /^[^$]+$/, patternTold: "^[^\\$]+$" };

export interface ExportPeriod {
  ExportFromTime?: number;
  ExportToTime?: number;
}

export interface ExportRequest {
  TableArn: string;
  /** Unix time in seconds, with fractions, as of the others. */
  ExportTime?: number;
  ExportType?: "FULL_EXPORT" | "INCREMENTAL_EXPORT";
  IncrementalExportSpecification?: ExportPeriod;
  S3SseAlgorithm?: "AES256" | "KMS";
  S3SseKmsKeyId?: string;
}

export const exportTableToPointInTime: StructureShape = structure("ExportTableToPointInTimeInput", {
  TableArn: { type: "string", required: true, lengthMax: 1024 },
  ExportTime: { type: "timestamp" },
  ClientToken: clientToken,
  S3Bucket: bucket,
  S3BucketOwner: bucketOwner,
  S3Prefix: { ...prefix, lengthMin: 1 } as Shape,
  S3SseAlgorithm: { type: "string", oneOf: ["AES256", "KMS"] },
  S3SseKmsKeyId: { type: "string", lengthMin: 1, lengthMax: 2048 },
  ExportFormat: { type: "string", oneOf: ["DYNAMODB_JSON", "ION"] },
  ExportType: { type: "string", oneOf: ["FULL_EXPORT", "INCREMENTAL_EXPORT"] },
  IncrementalExportSpecification: structure("IncrementalExportSpecification", {
    ExportFromTime: { type: "timestamp" },
    ExportToTime: { type: "timestamp" },
    ExportViewType: { type: "string", oneOf: ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"] },
  }),
});

export interface ImportRequest {
  InputFormat: string;
  InputFormatOptions?: object;
  TableCreationParameters: CreateTableRequest;
}

export const importTable: StructureShape = structure("ImportTableInput", {
  ClientToken: { ...clientToken, required: true },
  S3BucketSource: {
    ...structure("S3BucketSource", { S3BucketOwner: bucketOwner, S3Bucket: bucket, S3KeyPrefix: prefix }),
    required: true,
  },
  InputFormat: { type: "string", required: true, oneOf: ["DYNAMODB_JSON", "ION", "CSV"] },
  InputFormatOptions: structure("InputFormatOptions", {
    Csv: structure("CsvOptions", {
      Delimiter: { type: "string", lengthMin: 1, lengthMax: 1, pattern: /^[,;:|\t ]$/, patternFirst: true },
      HeaderList: {
        type: "list",
        lengthMin: 1,
        lengthMax: 255,
        of: { type: "string", lengthMin: 1, lengthMax: 65_536 },
      },
    }),
  }),
  InputCompressionType: { type: "string", oneOf: ["ZSTD", "NONE", "GZIP"] },
  TableCreationParameters: {
    ...structure("TableCreationParameters", {
      TableName: tableName,
      AttributeDefinitions: { ...attributeDefinitions, required: true },
      KeySchema: keySchema(2),
      BillingMode: billingMode,
      ProvisionedThroughput: throughput,
      OnDemandThroughput: onDemandThroughput,
      SSESpecification: encryption,
      GlobalSecondaryIndexes: globalIndexes,
    }),
    required: true,
  },
});
