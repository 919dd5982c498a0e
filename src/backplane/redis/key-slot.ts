/** How many slots a Redis Cluster has. */
const SLOTS = 16_384;

/** One step of CRC-16/XMODEM for each byte: polynomial 0x1021, not reflected, beginning with 0. */
const STEPS: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/**
 * The slot of a key without a tag, as `CLUSTER KEYSLOT` answers it.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
 */
export function keySlot(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc = ((crc << 8) ^ (STEPS[(crc >> 8) ^ byte] ?? 0)) & 0xffff;
  }
  return crc % SLOTS;
}
