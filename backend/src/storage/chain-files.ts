import type { Chain, Layer } from '../domain/layer.js'
import { imageFile, type Layout } from '../domain/layout.js'
import { z } from 'zod'
import { runCommand } from '../system/command.js'
import type { Identity } from '../system/identity.js'
import { limited, openAll } from './layer-copies.js'

/** The files below a disk, nearest first. */
export function filesBelow(layout: Layout, chain: Chain<Pick<Layer, 'file'>>, image: { file: string }): string[] {
  const layers = chain.layers.map(({ file }) => `${layout.overlays}/${file}`)
  return chain.base ? [...layers, imageFile(layout, image.file)] : layers
}

/** What of a disk holds data; all else reads as zeros. Bytes of the virtual disk, ascending. */
export interface Extent {
  offset: number
  length: number
  /** Where it lies as it is: which file of the chain, and the byte in it. Null: packed, or too small to be read alone. */
  place: { file: number; offset: number } | null
}

const OUTPUT_BYTES = 64 * 1024 ** 2
const measureSchema = z.object({ required: z.int().nonnegative() })
const mapSchema = z.array(
  z.object({
    start: z.int(),
    length: z.int(),
    depth: z.int().nonnegative(),
    zero: z.boolean(),
    data: z.boolean(),
    /** Absent for what is packed. */
    offset: z.int().nonnegative().optional(),
  }),
)
/** Below it a read of its own costs more than a copy through another process. */
const PLACED_BYTES = 64 * 1024

/** Bytes that a copy of a chain (nearest first) without any base takes, at most. */
export async function measureCopy(files: readonly string[], identity: Identity | undefined): Promise<number> {
  const text = await askQemuImg(files, identity, ['measure', '-U', '--output=json', '-O', 'qcow2', ...FORM])
  return measureSchema.parse(JSON.parse(text)).required
}

/** Form of every disk of ours: see system/qcow2-overlay.ts. */
const FORM = ['-o', 'cluster_size=128k,extended_l2=on']

/** What a chain (nearest first) holds. */
export async function mapChain(
  files: readonly string[],
  identity: Identity | undefined,
  signal: AbortSignal,
): Promise<Extent[]> {
  const text = await askQemuImg(files, identity, ['map', '-U', '--output=json'], signal)
  return mapSchema
    .parse(JSON.parse(text))
    .filter(({ data, zero }) => data && !zero)
    .map(({ start, length, depth, offset }) => ({
      offset: start,
      length,
      place: offset === undefined || length < PLACED_BYTES ? null : { file: depth, offset },
    }))
}

async function askQemuImg(
  files: readonly string[],
  identity: Identity | undefined,
  args: string[],
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  return withOpenChain(files, async (chain, extraFds) => {
    const options = { ...limited(identity, signal, 0), extraFds, maxOutputBytes: OUTPUT_BYTES }
    return (await runCommand('qemu-img', [...args, `json:${JSON.stringify(chain)}`], options)).stdout
  })
}

/**
 * A chain for a QEMU tool: every file is one of our descriptors, so that the tool needs no right on any folder, and
 * every format and backing file is said, so that no header is believed.
 */
export async function withOpenChain<T>(
  files: readonly string[],
  use: (chain: object, extraFds: number[]) => Promise<T>,
): Promise<T> {
  const open = await openAll(files)
  try {
    const chain = files.reduceRight<object | null>(
      (below, _, index) => ({
        driver: 'qcow2',
        'read-only': true,
        file: { driver: 'file', filename: `/proc/self/fd/${3 + index}`, 'read-only': true },
        backing: below,
      }),
      null,
    )
    return await use(
      chain ?? {},
      open.map(({ fd }) => fd),
    )
  } finally {
    for (const file of open) await file.close()
  }
}
