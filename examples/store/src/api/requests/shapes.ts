/** A small language for what a request may look like. `check-request.ts` holds requests to it. */
interface Common {
  /** Missing or null is an error. */
  readonly required?: true;
  /**
   * Its lower bound (of a list both bounds) and its enumeration are checked by what the service has renewed, and told in other words (with the
   * enumeration's own mistake, or in a sentence of its own). `alone`: before all others, which are not told then; "bare": nor is it counted.
   */
  readonly newer?: {
    readonly alone?: true | "bare";
    readonly oneOf?: readonly string[];
    readonly noneOfThem?: string;
  };
}

export interface Lengths {
  readonly lengthMin?: number;
  readonly lengthMax?: number;
}

export type Shape = Common &
  (
    | (Lengths & {
        readonly type: "string";
        readonly pattern?: RegExp;
        /** How the service writes the pattern, where it is tried in another form: in linear time, of a string of whatever length. */
        readonly patternTold?: string;
        /** Its pattern is told before its length. */
        readonly patternFirst?: true;
        readonly oneOf?: readonly string[];
        /** A table, which may be called by its ARN as well, of whatever region and account: there is one of each here. */
        readonly table?: true;
      })
    | { readonly type: "integer"; readonly wire: "Integer" | "Long"; readonly min?: number; readonly max?: number }
    | { readonly type: "timestamp" }
    | { readonly type: "boolean" }
    | StructureShape
    | (Lengths & { readonly type: "list"; readonly of: Shape })
    | (Lengths & {
        readonly type: "map";
        readonly of: Shape;
        readonly valueLengths?: Lengths;
        readonly keys?: "table-names";
        /** Its keys are only looked at where nothing else is wrong. */
        readonly keysLast?: true;
        /** It is shown as JSON, where all else is shown as Java shows it. */
        readonly shownAsJson?: true;
      })
    /** Attribute values by name. Only looked at from outside here: `checkItem` walks them, after all limits are known to be kept. */
    | { readonly type: "item" }
    /** One attribute value, looked at as little as those of an item. */
    | { readonly type: "value" }
    /** A field that the service has and this store has not, unless its value asks for nothing. */
    | {
        readonly type: "unsupported";
        readonly unless?: (value: unknown) => boolean;
        /** What the service would say against it anyway. */
        readonly instead?: (value: unknown, request: object) => string | undefined;
      }
  );

export interface StructureShape {
  readonly type: "structure";
  /** As the service's deserializer calls it. */
  readonly name: string;
  readonly members: Readonly<Record<string, Shape>>;
  /** A request without this member is left to the older checks, all of them. */
  readonly olderWithout?: string;
  /** So is one that is nested deeper than the newer checks read. */
  readonly olderWhereDeep?: true;
}

/** Of tables, indexes, backups. */
export const NAME = /^[a-zA-Z0-9_.-]+$/;

/** @param name as the service's deserializer calls it */
export const structure = <S extends Readonly<Record<string, Shape>>>(name: string, members: S) =>
  ({ type: "structure", name, members }) as const;
