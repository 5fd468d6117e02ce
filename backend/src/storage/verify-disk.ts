import type { Finding } from '../domain/storage.js'
import { workerIdentity } from '../system/identity.js'
import { backingFault, kindFault, look, readHeader, sizeFault, soundnessFault } from './overlay-faults.js'

/** A finding before anybody has thought about its repair. */
export type Seen = Omit<Finding, 'repairs'>

/** A disk file, and what its record says of it. */
export interface RecordedFile {
  /** Absolute. */
  path: string
  /** As records show it: `/overlays/…`. */
  name: string
  format: 'qcow2' | 'raw'
  /** Virtual size in bytes. */
  sizeBytes: number
  /** What its header must name; null: nothing; empty: nobody knows, since the record of that is missing. */
  backing: string | null
  /** What QEMU does with it. */
  access: 'read' | 'write'
}

/** Whether it is there and can be used as a disk. No link is followed. */
export async function verifyExists(file: Pick<RecordedFile, 'path' | 'name' | 'access'>): Promise<Seen> {
  const { stats, fault } = await look(file.path)
  const unusable = stats ? kindFault(stats, workerIdentity(), file.access) : undefined
  const message = fault === 'is missing' ? 'MISSING' : (fault ?? unusable)
  return { check: 'exists', path: file.name, ok: message === undefined, message: message ?? 'exists' }
}

/**
 * Its header, its virtual size and what it stands on, each against its record. For a file that is there; what can't be
 * read is not judged further.
 */
export async function verifyHeader(file: RecordedFile): Promise<Seen[]> {
  const seen = (check: Seen['check'], fault: string | undefined, well: string): Seen => ({
    check,
    path: file.name,
    ok: fault === undefined,
    message: fault ?? well,
  })
  if (file.format === 'raw') return [await verifyRawSize(file)]
  const header = await readHeader(file.path)
  if (typeof header === 'string') return [seen('header', `is damaged: ${header}`, '')]
  const size = header.virtualSizeBytes === file.sizeBytes ? undefined : sizeFault(header, file.sizeBytes)
  const well = file.backing === null ? 'needs no other file, as recorded' : `stands on ${file.backing}, as recorded`
  return [
    seen('header', soundnessFault(header), 'header is sound'),
    seen('size', size, `virtual size ${header.virtualSizeBytes} bytes, as recorded`),
    ...(file.backing === '' ? [] : [seen('chain', backingFault(header, file.backing), well)]),
  ]
}

async function verifyRawSize({ path, name, sizeBytes }: RecordedFile): Promise<Seen> {
  const { stats, fault } = await look(path)
  const size = stats?.size ?? 0
  const ok = stats !== undefined && size >= sizeBytes
  const wrong = fault ?? `has ${size} bytes, its record says ${sizeBytes}`
  return { check: 'size', path: name, ok, message: ok ? `${size} bytes, as recorded` : wrong }
}
