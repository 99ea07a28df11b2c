import type { Condition, DocumentPath, Item, ReturnValues, UpdateAction } from "../model.js";

/** What statements are parsed to: parameters in their places, conditions and updates as those of expressions. */
export type Statement =
  | {
      readonly kind: "select";
      readonly table: string;
      readonly index?: string;
      /** Absent: whole items. */
      readonly paths?: readonly DocumentPath[];
      readonly where?: Condition;
      readonly orderBy?: readonly { readonly name: string; readonly descending: boolean }[];
    }
  /** Of transactions: there has to be such an item. */
  | { readonly kind: "exists"; readonly table: string; readonly where: Condition | undefined }
  | { readonly kind: "insert"; readonly table: string; readonly item: Item }
  | {
      readonly kind: "update";
      readonly table: string;
      readonly actions: readonly UpdateAction[];
      readonly where: Condition | undefined;
      readonly returning: ReturnValues;
    }
  | {
      readonly kind: "delete";
      readonly table: string;
      readonly where: Condition | undefined;
      readonly returning: "NONE" | "ALL_OLD";
    };
