/** A table's key: the attributes that it has, and how clients are told of it. */
import type { IndexKeySchema, KeyAttribute, KeySchema } from "./model.js";

export const keyAttributes = ({ partition, sort }: KeySchema): readonly KeyAttribute[] =>
  sort === undefined ? [partition] : [partition, sort];

/** The same as an index has it, whose key may have several attributes for either part. */
export const asIndexKey = ({ partition, sort }: KeySchema): IndexKeySchema => ({
  partition: [partition],
  sort: sort === undefined ? [] : [sort],
});

export const describedKey = ({ partition, sort }: IndexKeySchema): object[] => {
  const element = (KeyType: string) => (attribute: KeyAttribute) => ({ AttributeName: attribute.name, KeyType });
  return [...partition.map(element("HASH")), ...sort.map(element("RANGE"))];
};
