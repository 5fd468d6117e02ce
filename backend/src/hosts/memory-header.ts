import { createHash } from 'node:crypto'
import { z } from 'zod'

/**
 * The first bytes of a memory file: what the machine was, as its QEMU was told. QEMU finds out by itself when devices do
 * not fit, but not when the processor or the accelerator is another one: the guest would crash some time later.
 */
export const MEMORY_HEADER_BYTES = 4096
const MAGIC = 'sandlabx-memory-1\n'
const SINGLE = { machine: '-machine', accelerator: '-accel', processor: '-cpu', processors: '-smp', memory: '-m' }

const machineFactsSchema = z.record(z.string(), z.string())
type MachineFacts = z.infer<typeof machineFactsSchema>

/** Pure. */
export function memoryHeader(args: readonly string[]): Buffer {
  const header = Buffer.alloc(MEMORY_HEADER_BYTES)
  header.write(`${MAGIC}${JSON.stringify(factsOf(args))}`, 'utf8')
  return header
}

/** Why a machine with these arguments can't go on from a memory file with this header; undefined when it can. Pure. */
export function memoryMisfit(header: Buffer, args: readonly string[]): string | undefined {
  const text = header.toString('utf8')
  const saved = text.startsWith(MAGIC) ? parsed(text.slice(MAGIC.length)) : undefined
  if (!saved) return 'It is no memory file of SandLabX, or damaged.'
  const now = factsOf(args)
  const other = Object.keys(now).find((name) => now[name] !== saved[name])
  if (other === undefined) return undefined
  const shown = other === 'devices' ? '' : `: ${saved[other]} then, ${now[other]} now`
  return `Its ${other} differ${other.endsWith('s') ? '' : 's'} from what it was saved on${shown}.`
}

function factsOf(args: readonly string[]): MachineFacts {
  const devices = args.filter((_, index) => args[index - 1] === '-device')
  return {
    ...Object.fromEntries(Object.entries(SINGLE).map(([name, option]) => [name, args[args.indexOf(option) + 1] ?? ''])),
    devices: createHash('sha256').update(devices.join('\n')).digest('hex'),
  }
}

function parsed(text: string): MachineFacts | undefined {
  try {
    return machineFactsSchema.parse(JSON.parse(text.split('\0')[0] ?? ''))
  } catch {
    return undefined
  }
}
