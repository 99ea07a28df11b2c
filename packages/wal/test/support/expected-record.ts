/** What record `sequence` of stream `name` holds: length and content follow from both. */
export function expectedRecord(name: string, sequence: number): Buffer {
  const length = (sequence * 7919) % (sequence % 50 === 0 ? 20_000 : 1500);
  return Buffer.alloc(length, `${name}/${sequence} `);
}
