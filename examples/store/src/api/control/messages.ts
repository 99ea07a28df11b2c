/** What operations on tables' settings, tags and backups say. Spelling and spacing are the service's. */
import { INVALID_VALUES } from "../messages.js";

const IN_USE = "Attempt to change a resource which is still in use: ";

type Direction = "Read" | "Write";
/** The service has the spaces differ between one check and the next. */
const ofWhat = (index: string | undefined): string => (index === undefined ? "table" : `index ${index}`);

export const controlMessages = {
  nothingToUpdate:
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
  onlyOperation: (what: string) => `${INVALID_VALUES}${what} modification must be the only operation in the request`,
  warmAlone: `${INVALID_VALUES}WarmThroughput must be the only operation in the request`,
  warmWithNewIndex: `${INVALID_VALUES}Create global secondary index cannot be specified when updating WarmThroughput`,
  maximaWithOthers: `${INVALID_VALUES}OnDemandThroughput can only be combined with BillingMode in an UpdateTable request`,
  streamWithThroughput: `${INVALID_VALUES}You cannot modify stream status while updating table IOPS`,
  indexWithThroughput: `${INVALID_VALUES}You cannot create or delete index while updating table IOPS`,
  indexWithStream: `${INVALID_VALUES}You cannot create or delete index while changing stream status`,
  throughputWithoutMode: `${INVALID_VALUES}ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST`,
  throughputWithMode: `${INVALID_VALUES}ProvisionedThroughput must be specified when BillingMode is PROVISIONED`,
  throughputOutOfBounds: (value: number, name: string) => `Given value ${value} for ${name} is out of bounds`,
  throughputUnchanged: (read: number, readAsked: number, write: number, writeAsked: number) =>
    `The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: ${read}. Requested ReadCapacityUnits: ${readAsked}. Current WriteCapacityUnits provisioned for the table: ${write}. Requested WriteCapacityUnits: ${writeAsked}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.`,
  throughputForIndex: (index: string) => `${INVALID_VALUES}ProvisionedThroughput must be specified for index: ${index}`,
  maximumUnderProvisioned: (name: string, index?: string) =>
    `${INVALID_VALUES}${name} for OnDemandThroughput${index === undefined ? "" : ` for index: ${index}`} cannot be specified when table BillingMode is PROVISIONED.`,
  maximumUnderProvisionedLater: (name: string, index?: string) =>
    `${INVALID_VALUES}${name} for OnDemandThroughput${index === undefined ? "" : ` for index : ${index}`} cannot be specified when the table BillingMode is PROVISIONED`,
  maximumOutOfRange: (name: string, index?: string) =>
    `${INVALID_VALUES}Requested ${name} for OnDemandThroughput for ${index === undefined ? "table" : `index : ${index}`} is outside of valid range`,
  maximumExceeded: "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
  maximumOverride: (name: string) =>
    `Invalid Request: Cannot override ${name} for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST`,
  maximumOverrideOutOfRange: (name: string) =>
    `Invalid Request: Requested ${name} for OnDemandThroughput is outside of valid range`,
  unitsNotGranted: (direction: Direction, units: number, most: number, region: string, index?: string) =>
    `The requested ${direction}CapacityUnits${index === undefined ? "" : ` for index ${index}`}, ${units}, is above the per ${index === undefined ? "table" : "index"} maximum for the account in ${region}. Per table maximum: ${most}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.`,
  maximumNotGranted: (direction: Direction, region: string, index?: string) =>
    `Subscriber limit exceeded: Requested Max${direction}RequestUnits for OnDemandThroughput for ${index === undefined ? "table" : `index : ${index}`} exceeds TableMax${direction}CapacityUnits of the account in region ${region}`,
  warmthNotGranted: (direction: Direction, region: string, index?: string) =>
    `Subscriber limit exceeded: Requested ${direction}UnitsPerSecond for WarmThroughput for ${ofWhat(index)} exceeds TableMax${direction}CapacityUnits of the account in region ${region}`,
  fellTooOften: (times: number, last: string, next: string) =>
    `Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. Number of decreases today: ${times}. Last decrease at ${last}. Next decrease can be made at ${next}`,
  warmBelowInitial: (direction: Direction, index?: string) =>
    `${INVALID_VALUES}Requested ${direction}UnitsPerSecond for WarmThroughput for ${ofWhat(index)} is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial`,
  warmBelowProvisioned: (direction: Direction, index?: string) =>
    `${INVALID_VALUES}Requested ${direction}UnitsPerSecond for WarmThroughput for ${ofWhat(index)} is lower than ${direction}CapacityUnits of ProvisionedThroughput`,
  warmDecreased: (direction: Direction, index?: string) =>
    `${INVALID_VALUES}Requested ${direction}UnitsPerSecond for WarmThroughput for ${ofWhat(index)} is lower than current WarmThroughput, decreasing WarmThroughput is not supported`,
  encryptionDisabledWith: (name: string) => `${INVALID_VALUES}${name} can not be specified if Enabled is false`,
  encryptionType: `${INVALID_VALUES}SSEType AES256 is not supported`,
  encryptionKeyWithoutType: `${INVALID_VALUES}SSEType KMS is required if KMSMasterKeyId is specified`,
  encryptedByDefault: `${INVALID_VALUES}Table is already encrypted by default`,
  encryptedWithKey: `${INVALID_VALUES}Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key`,
  periodWhileDisabled: "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.",
  policyArnInvalid: (arn: string) => `${INVALID_VALUES}Invalid resource Arn: ${arn}`,
  policyNotFound: (arn: string) => `Resource-based policy not found for the provided ResourceArn: ${arn}`,
  /** Written down as far as "associated". */
  policyRevisionUnknown: (revision: string, resource: string) =>
    `Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id ${revision}, but ${resource} has no associated policy.`,
  policyTooLarge: (most: number) => `${INVALID_VALUES}Maximum policy size of ${most} bytes exceeded`,
  policyInvalid: (problem: string) => `${INVALID_VALUES}Invalid policy document: ${problem}`,
  policyNoJson: "This policy contains invalid Json",
  policyNone: "This text appears not to be a policy",
  policyEmpty: "Syntax error at position (1,3)",
  policyWithoutStatements: "Could not parse the policy: Statement is empty!",
  policyWithoutEffect: "Missing required field Effect",
  nextTokenInvalid: (token: string) => `Invalid Request: Provided nextToken is invalid: ${token.slice(0, 1024)}`,
  exportNoTable: "Invalid TableArn: Invalid Table ARN",
  exportTableArn: `${INVALID_VALUES}tableArn is not a valid ARN`,
  exportOfPart: "Invalid Request: Table ARN is invalid.",
  exportKey: "Invalid Request: KMS Key Id is not supported for this encryption type",
  exportPeriodUntyped:
    "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is provided",
  exportPeriodOfFull:
    "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided",
  exportPeriodMissing:
    "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export",
  exportPeriodWithoutFrom: "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
  exportTime: "Export Time is invalid",
  exportFromTooEarly: (time: string) =>
    `Incremental export period from time cannot be less than the table creation time : ${time}`,
  exportToTooLate: (time: string) =>
    `Incremental export period to time cannot be greater than the current time : ${time}`,
  exportPeriodShort: "Difference between export period from time and export period to time is less than 15 minutes",
  /** Not written down anywhere; as of those that are too short. */
  exportPeriodLong: "Difference between export period from time and export period to time is greater than 24 hours",
  withoutRecovery: (table: string) => `Point in time recovery is not enabled for table '${table}'`,
  importOptions: (format: string) =>
    `Invalid Request: Unsupported InputFormatOptions for the given input format: ${format}.`,
  /** What would begin what there is none of here: this store's own words, all of them. */
  noPolicies: "This store has no resource-based policies: whoever it knows may do everything",
  noInsights: "This store has no CloudWatch, and no Contributor Insights for tables and indexes",
  /** The service's. */
  localReplica:
    "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.",
  replicaActionsOfTwoKinds: "Update table operation with more than one type of replica actions not allowed",
  replicaActionsTooMany: "Update table operation with more than one create or delete replica actions not allowed",
  replicaActions: "There are no actions specified in the Replica Update Action of the request.",
  noKinesis:
    "This store has no Kinesis data streams to send changes to: StreamSpecification of UpdateTable switches a table's own stream on",
  noExports:
    "This store has no S3 to export a table to: RestoreTableToPointInTime makes a table of it as it was at any such moment",
  noImports: "This store has no S3 to import a table from: CreateTable and BatchWriteItem bring items into a new one",
  /** The service's: also where there never was such a destination. */
  destinationNotDisabled:
    "Table is not in a valid state to enable Kinesis Streaming Destination: KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.",
  destinationUnknown: (table: string, stream: string) =>
    `Table is not in a valid state to enable Kinesis Streaming Destination: No streaming destination with streamArn: ${stream} found for table with tableName: ${table}`,
  destinationUpdateEmpty:
    "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be null or contain only null values",
  destinationDisabledWith: "Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters",
  exportArn: "Invalid Export ARN",
  importArn: "Invalid Import ARN",
  exportNotFound: (arn: string) => `Export not found: Export not found: ${arn}`,
  /** Not written down anywhere; as of exports. */
  importNotFound: (arn: string) => `Import not found: Import not found: ${arn}`,
  /** Of either kind. */
  globalTableMissing: (name: string) => `Global table with name: '${name}' does not exist.`,
  globalTableNotFound: (why: string) => `Global table not found: ${why}`,
  globalTableActionEmpty: "One or more parameter values were invalid",
  globalTablesOfOld: `${INVALID_VALUES}DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version 2019.11.21, instead of version 2017.11.29 (Legacy).`,
  indexOfTableNotFound: (index: string, table: string) =>
    `Requested resource not found: Index: ${index} not found for table: ${table}`,
  protected:
    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
  tableBeing: (what: string, name: string) => `${IN_USE}Table is being ${what}: ${name}`,
  tableBeingSaidLater: (what: string, name: string) => `${IN_USE}Table ${name} is being ${what}`,
  streamTwice: (told: string) => `${IN_USE}A stream status change is currently in progress. ${told}`,
  besideStream: (what: string, told: string) => `${IN_USE}Can't ${what} when stream status is being updated. ${told}`,
  /** Written down as far as "is i". */
  maximaBesideStream: `${IN_USE}OnDemandThroughput cannot be updated while stream status update is in progress`,
  deletedBesideStream: `${IN_USE}Cannot delete table while stream is being enabled/disabled.`,
  besideIndex: (what: string, being: "created" | "deleted", table: string, indexes: readonly string[]) =>
    `${IN_USE}Can't change ${what} when an index is being ${being}. Table: ${table} Indexes: [${indexes.join(", ")}]`,
  maximaBesideIndex: (being: "created" | "deleted", indexes: readonly string[]) =>
    `${IN_USE}OnDemandThroughput cannot be updated while index ${being === "created" ? "creation" : "deletion"} is in progress for indexes: [${indexes.join(", ")}]`,
  indexBeingDeleted: (table: string, index: string) =>
    `${IN_USE}Index is being deleted. Table: ${table} Index: ${index}`,
  indexWithoutPlace: (table: string, index: string) =>
    `${IN_USE}Index is being created but is not backfilling yet. Table: ${table} Index: ${index}`,
  backupsOnTheirWay: (table: string) => `Backups are being enabled for the table: ${table}. Please retry later`,
  insightsNotNow: (of: "Table" | "Index") =>
    `Table or Index is not in a valid state to update Key Access Insights: ${of}Status must be ACTIVE to enable ContributorInsights.`,
  arnMissing: "Invalid TableArn",
  arnNone: (arn: string) => `${INVALID_VALUES}ARNs must start with 'arn:': ${arn.slice(0, 1283)}`,
  arnOfOthers: (arn: string) => `${INVALID_VALUES}Provided Arn is not a DynamoDB resource arn: ${arn.slice(0, 1283)}`,
  arnOfPart: (arn: string) =>
    `${INVALID_VALUES}Invalid resource arn provided, only table or stream is accepted. Provided resource arn: ${arn.slice(0, 1283)}`,
  arnInvalid: (arn: string) => `Invalid TableArn: Invalid ResourceArn provided as input ${arn.slice(0, 1283)}`,
  streamOfTableNotFound: (label: string, table: string) =>
    `Requested resource not found: Stream: ${label} not found for Table: ${table}`,
  arnNotFound: (arn: string) => `Requested resource not found: ResourceArn: ${arn} not found`,
  tagsMissing: "Atleast one Tag needs to be provided as Input.",
  tagKeysMissing: "Atleast one Tag Key needs to be provided as Input.",
  tagKeyInvalid: (key: string) => `The Tag Key provided is invalid, Key: ${key}`,
  tagValueInvalid: (value: string) => `The Tag Value provided is invalid, Value: ${value}`,
  tagTwice: (key: string) => `Duplicate Tag Keys provided as input: Duplicate Tag Key found ${key}`,
  tagReserved: (key: string) => `Tag Key cannot be prefixed with aws:, Key: ${key}`,
  tableClassInvalid: (classes: readonly string[]) =>
    `Invalid table-class parameter provided. Please try again with a valid table-class value: [${classes.join(", ")}].`,
  timeToLiveAlreadyEnabled: "TimeToLive is already enabled",
  timeToLiveAlreadyDisabled: "TimeToLive is already disabled",
  timeToLiveOtherAttribute: (attribute: string) =>
    `TimeToLive is active on a different AttributeName: current AttributeName is ${attribute}`,
  timeToLiveTooOften: "Time to live has been modified multiple times within a fixed interval",
  timeToLiveNotNow: (state: string) =>
    `Cannot describe time to live while table is in ${state} state: Current table state is ${state}`,
  warmEmpty: (index: string) =>
    `${INVALID_VALUES}WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: ${index}`,
  nameLength: (what: "TableName" | "IndexName") =>
    `${what} must be at least 3 characters long and at most 255 characters long`,
  backupArnInvalid: "Invalid Backup ARN",
  /** An ARN of a backup, but of another partition or service. */
  backupArnOfOthers: "Invalid Request: BackupArn is not valid",
  backupRangeEmpty: `${INVALID_VALUES}Time range lower bound must be less than or equal to upper bound`,
  backupInUse: (arn: string) => `Backup is being used to restore table: ${arn}`,
  alreadyRestored: (table: string, arn: string) => `Table: ${table} is already being restored from backup: ${arn}`,
  backupNotFound: (arn: string) => `Backup not found: ${arn}`,
  tooManyBackups: (most: number) => `Too many backups: this store keeps at most ${most}`,
  tooManyTags: "Number of Tags exceed the current limit for the provided ResourceArn",
  restoreSourceChoice: "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName",
  restoreSourceMissing: "The parameter 'TableName' is required but was not present in the request",
  restoreTimeTwice:
    "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime",
  restoreTimeOutside: (asked: string, earliest: string, latest: string) =>
    `RestoreDateTime '${asked}' must be within EarliestRestorableDateTime '${earliest}' and LatestRestorableDateTime '${latest}'`,
  restoreTimeChoice:
    "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both",
  restoredIndexDiffers: (name: string) =>
    `Invalid Request: Index ${name} does not match a secondary index that existed in the source table and cannot be created during the restore operation`,
  restoredThroughputUnderOnDemand: (index?: string) =>
    `Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST${index === undefined ? "" : ` for index ${index}`}`,
  /** Of a table that was on demand, and stays so. */
  restoredThroughputOnDemand:
    "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
  restoredThroughputMissing:
    "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
  restoredIndexThroughputMissing: (index: string) =>
    `Invalid Request: Must specify provisioned throughput for index ${index}`,
} as const;
