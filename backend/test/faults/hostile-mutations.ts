import type { Random } from './fuzz-random.js'

/** A changed copy of `base`; pure. `decoy` is what it may name as a file. `steps` says what was done, for a report. */
export function mutate(base: Buffer, random: Random, decoy: string): { bytes: Buffer; steps: string[] } {
  let bytes: Buffer = Buffer.from(base)
  const steps: string[] = []
  const count = 1 + random.whole(4)
  for (let step = 0; step < count; step += 1) {
    const isQcow2 = bytes.length >= 104 && bytes.readUInt32BE(0) === MAGIC
    const mutation = random.pick(isQcow2 ? QCOW2_MUTATIONS : RAW_MUTATIONS)
    steps.push(mutation.name)
    bytes = mutation(bytes, random, decoy) ?? bytes
  }
  return { bytes, steps }
}

const MAGIC = 0x5146_49fb

/** Changes the bytes in place, or returns others. */
type Mutation = (bytes: Buffer, random: Random, decoy: string) => Buffer | undefined | void

/** Fields of the header after QEMU's docs/interop/qcow2.rst: where, and how many bytes. */
const FIELDS: readonly [number, 4 | 8][] = [
  [0, 4], // magic
  [4, 4], // version
  [8, 8], // backing file offset
  [16, 4], // backing file name length
  [20, 4], // cluster bits
  [24, 8], // virtual size
  [32, 4], // encryption
  [36, 4], // L1 entries
  [40, 8], // L1 offset
  [48, 8], // refcount table offset
  [56, 4], // refcount table clusters
  [60, 4], // snapshots
  [64, 8], // snapshots offset
  [72, 8], // incompatible features
  [80, 8], // compatible features
  [88, 8], // autoclear features
  [96, 4], // refcount order
  [100, 4], // header length
  [104, 8], // compression type and padding
]
const EXTENSION_TYPES = [0, 0xe279_2aca, 0x6803_f857, 0x2385_2875, 0x0537_be77, 0x4441_5441, 0x1234_5678]
const FOREIGN_MAGICS: readonly [number, string][] = [
  [0, 'KDMV'],
  [0, 'COWD'],
  [0, 'QFI\xfb\0\0\0\x01'],
  [0, 'QFI\xfb\0\0\0\x03'],
  [0, 'QED\0'],
  [0, 'conectix'],
  [0, 'vhdxfile'],
  [0, 'LUKS\xba\xbe\0\x01'],
  [0, 'WithoutFreeSpace'],
  [0, '# Disk DescriptorFile\nversion=1\n'],
  [0, '\x1f\x8b\x08'],
  [0x40, '\x7f\x10\xda\xbe'],
  [257, 'ustar'],
  [0x8001, 'CD001'],
]

/** Values at which readers go wrong: ends of ranges, ends of this file, and places in it. */
function oddNumber(bytes: Buffer, random: Random): bigint {
  const cluster = 1n << BigInt(9 + random.whole(13))
  const length = BigInt(bytes.length)
  const power = 1n << BigInt(random.whole(64))
  return random.pick([
    0n,
    1n,
    2n,
    3n,
    4n,
    length,
    length - 1n,
    length - 512n,
    length + cluster,
    cluster,
    cluster * BigInt(random.whole(16)),
    cluster + 512n,
    power,
    power - 1n,
    power + 1n,
    1n << 40n,
    (1n << 63n) | (length - cluster),
    (1n << 62n) | BigInt(random.whole(bytes.length)),
    BigInt(random.whole(2 ** 32)),
    (1n << 64n) - 1n,
    (1n << 64n) - cluster,
  ])
}

function writeField(bytes: Buffer, at: number, width: 4 | 8, value: bigint): void {
  if (at < 0 || at + width > bytes.length) return
  if (width === 4) bytes.writeUInt32BE(Number(BigInt.asUintN(32, value)), at)
  else bytes.writeBigUInt64BE(BigInt.asUintN(64, value), at)
}

const placeAt = (bytes: Buffer, field: number) => Number(BigInt.asUintN(48, bytes.readBigUInt64BE(field)))
const clusterBytes = (bytes: Buffer) => 2 ** Math.min(21, Math.max(9, bytes.readUInt32BE(20)))

const headerField: Mutation = (bytes, random) => {
  const [at, width] = random.pick(FIELDS)
  writeField(bytes, at, width, oddNumber(bytes, random))
}

const smallChange: Mutation = (bytes, random) => {
  const [at, width] = random.pick(FIELDS)
  const old = width === 4 ? BigInt(bytes.readUInt32BE(at)) : bytes.readBigUInt64BE(at)
  writeField(bytes, at, width, old + BigInt(random.whole(9) - 4))
}

const featureBit: Mutation = (bytes, random) => {
  const at = random.pick([72, 80, 88])
  const bit = 1n << BigInt(random.chance(0.8) ? random.whole(6) : random.whole(64))
  writeField(bytes, at, 8, bytes.readBigUInt64BE(at) ^ bit)
}

const headerNoise: Mutation = (bytes, random) => {
  const at = random.whole(Math.min(bytes.length, 512) - 4)
  random.bytes(1 + random.whole(4)).copy(bytes, at)
}

const extension: Mutation = (bytes, random, decoy) => {
  const start = bytes.readUInt32BE(4) === 2 ? 72 : Math.min(bytes.readUInt32BE(100), 512)
  const content = random.pick([decoy, 'raw', 'nbd://127.0.0.1:10809/x', `json:{"driver":"file"}`, '\0'.repeat(48), ''])
  const at = start + 8 * random.whole(8)
  if (at + 1024 > bytes.length) return
  writeField(bytes, at, 4, BigInt(random.pick(EXTENSION_TYPES)))
  writeField(bytes, at + 4, 4, random.chance(0.3) ? oddNumber(bytes, random) : BigInt(content.length))
  bytes.write(content, at + 8, 'latin1')
}

const backingFile: Mutation = (bytes, random, decoy) => {
  const name = random.pick([decoy, '/etc/passwd', '../../../etc/passwd', 'nbd://127.0.0.1:10809/x', 'fat:/etc', '\0'])
  const at = random.pick([112, 200, 256, 500, clusterBytes(bytes) - name.length])
  if (at + name.length > bytes.length) return
  writeField(bytes, 8, 8, BigInt(at))
  writeField(bytes, 16, 4, BigInt(name.length))
  bytes.write(name, at, 'latin1')
}

const level1Entry: Mutation = (bytes, random) => {
  const at = placeAt(bytes, 40) + 8 * random.whole(Math.min(64, bytes.readUInt32BE(36)) || 1)
  writeField(bytes, at, 8, oddNumber(bytes, random))
}

const level2Entry: Mutation = (bytes, random) => {
  const first = placeAt(bytes, 40)
  if (first + 8 > bytes.length) return
  const table = placeAt(bytes, first)
  const count = random.chance(0.2) ? 1 + random.whole(2000) : 1
  const value = oddNumber(bytes, random)
  for (let entry = random.whole(32), written = 0; written < count; entry += 1, written += 1) {
    writeField(bytes, table + 8 * entry, 8, value)
  }
}

/** Two entries name one cluster, or a table names itself. */
const sharedCluster: Mutation = (bytes, random) => {
  const first = placeAt(bytes, 40)
  if (first + 8 > bytes.length) return
  const table = placeAt(bytes, first)
  if (table + 512 > bytes.length) return
  const known = random.pick([bytes.readBigUInt64BE(table), BigInt(table), BigInt(first), BigInt(clusterBytes(bytes))])
  writeField(bytes, table + 8 * random.whole(64), 8, known | (random.chance(0.5) ? 1n << 63n : 0n))
}

const refcounts: Mutation = (bytes, random) => {
  const table = placeAt(bytes, 48)
  if (table + 8 > bytes.length) return
  const at = random.chance(0.3) ? table : placeAt(bytes, table) + 2 * random.whole(64)
  writeField(bytes, at, 8, oddNumber(bytes, random))
}

const snapshotOrBitmap: Mutation = (bytes, random) => {
  const at = random.chance(0.5) ? placeAt(bytes, 64) : placeAt(bytes, 104 + 8 * random.whole(20))
  writeField(bytes, at + 4 * random.whole(16), 4, oddNumber(bytes, random))
}

const dataNoise: Mutation = (bytes, random) => {
  random.bytes(1 + random.whole(64)).copy(bytes, random.whole(bytes.length))
}

const cutOff: Mutation = (bytes, random) => {
  const length = random.chance(0.5) ? 512 * random.whole(bytes.length / 512) : random.whole(bytes.length)
  return bytes.subarray(0, length)
}

const tail: Mutation = (bytes, random) => Buffer.concat([bytes, Buffer.alloc(512 * (1 + random.whole(256)), 0x41)])

const clusterMoved: Mutation = (bytes, random) => {
  const size = clusterBytes(bytes)
  const count = Math.floor(bytes.length / size)
  if (count < 2) return
  bytes.copy(bytes, size * random.whole(count), size * random.whole(count), size * (1 + random.whole(count)))
}

const foreignMagic: Mutation = (bytes, random, decoy) => {
  const [at, magic] = random.pick(FOREIGN_MAGICS)
  bytes.write(random.chance(0.3) ? `${magic}RW 8 FLAT "${decoy}" 0\n` : magic, at, 'latin1')
}

const foreignEnd: Mutation = (bytes, random) => {
  if (bytes.length >= 512) bytes.write(random.pick(['conectix', 'koly']), bytes.length - 512, 'latin1')
}

/** The header of a qcow2 before a raw disk: what a guest writes on its own disk to fool a tool that guesses formats. */
const disguise: Mutation = (bytes, random, decoy) => {
  if (bytes.length < 4096) return
  bytes.fill(0, 0, 512)
  const fields: [number, 4 | 8, bigint][] = [
    [0, 4, BigInt(MAGIC)],
    [4, 4, random.pick([1n, 2n, 3n])],
    [20, 4, 16n],
    [24, 8, 1n << 20n],
    [36, 4, 1n],
    [40, 8, 0x3_0000n],
    [48, 8, 0x1_0000n],
    [56, 4, 1n],
    [96, 4, 4n],
    [100, 4, 104n],
  ]
  for (const [at, width, value] of fields) writeField(bytes, at, width, value)
  if (random.chance(0.7)) backingFile(bytes, random, decoy)
}

const QCOW2_MUTATIONS: readonly Mutation[] = [
  headerField,
  headerField,
  smallChange,
  featureBit,
  headerNoise,
  extension,
  backingFile,
  level1Entry,
  level2Entry,
  level2Entry,
  sharedCluster,
  refcounts,
  refcounts,
  snapshotOrBitmap,
  dataNoise,
  dataNoise,
  cutOff,
  tail,
  clusterMoved,
  foreignMagic,
]
const RAW_MUTATIONS: readonly Mutation[] = [dataNoise, foreignMagic, foreignEnd, disguise, cutOff, tail]
