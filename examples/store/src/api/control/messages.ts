/** What operations on tables' settings, tags and backups say. Spelling and spacing are the service's. */
const INVALID_VALUES = "One or more parameter values were invalid: ";

export const controlMessages = {
  nothingToUpdate:
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
  throughputWithMode: `${INVALID_VALUES}ProvisionedThroughput must be specified when BillingMode is PROVISIONED`,
  throughputOutOfBounds: (value: number, name: string) => `Given value ${value} for ${name} is out of bounds`,
  throughputUnchanged: (read: number, readAsked: number, write: number, writeAsked: number) =>
    `The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: ${read}. Requested ReadCapacityUnits: ${readAsked}. Current WriteCapacityUnits provisioned for the table: ${write}. Requested WriteCapacityUnits: ${writeAsked}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.`,
  protected:
    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
  tableBeing: (what: string, name: string) =>
    `Attempt to change a resource which is still in use: Table is being ${what}: ${name}`,
  arnMissing: "Invalid TableArn",
  arnInvalid: (arn: string) => `Invalid TableArn: Invalid ResourceArn provided as input ${arn.slice(0, 1283)}`,
  arnNotFound: (arn: string) => `Requested resource not found: ResourcArn: ${arn} not found`,
  tagsMissing: "Atleast one Tag needs to be provided as Input.",
  tagKeysMissing: "Atleast one Tag Key needs to be provided as Input.",
  tagTwice: (key: string) => `Duplicate tag key: ${key}`,
  tagReserved: `${INVALID_VALUES}Tag keys that begin with aws: are reserved`,
  backupArnInvalid: (arn: string) => `Invalid Request: Invalid BackupArn provided as input ${arn}`,
  backupNotFound: (arn: string) => `Backup not found: ${arn}`,
  tooManyBackups: (most: number) => `Too many backups: this store keeps at most ${most}`,
  tooManyTags: "Too many tags: a table has at most 50",
  /** This store's own words: the service has one source too, and what it says of none or two is not written down. */
  restoreSourceChoice: "Exactly one source must be specified, by SourceTableName or SourceTableArn",
  restoredIndexDiffers: (name: string) =>
    `One or more parameter values were invalid: Index to be restored is not one of the source table, or differs from it: ${name}`,
} as const;
