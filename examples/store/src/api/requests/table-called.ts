/** What a request calls its table: by its name, or by its ARN. */
const TABLE_ARN = /^arn:[^:]+:dynamodb:[^:]*:\d*:table\/([a-zA-Z0-9_.-]+)$/;

/** A table's name, of that or of its ARN. */
export function nameWithin(nameOrArn: string): string {
  return nameOrArn.startsWith("arn:") ? (TABLE_ARN.exec(nameOrArn)?.[1] ?? nameOrArn) : nameOrArn;
}

const CALLED = Symbol("called");

/** Notes the ARN that a request's table was found by. */
export function calledAs(request: object, arn: unknown): void {
  Object.defineProperty(request, CALLED, { value: arn });
}

/** What a request calls its table: its name, or the ARN that it was found by. */
export function tableCalled(request: { readonly TableName: string; readonly [CALLED]?: string }): string {
  return request[CALLED] ?? request.TableName;
}
