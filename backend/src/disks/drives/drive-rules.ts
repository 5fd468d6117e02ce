import {
  DEFAULT_SETTINGS,
  ROOT_DRIVE,
  type CreateDrive,
  type DriveLimits,
  type DriveRecord,
  type DriveSettings,
  type UpdateDrive,
} from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import type { NodeRecord } from '../../domain/node.js'
import { formatBytes } from '../../domain/units.js'

/** Besides the root disk: places on the machine's bus. */
export const MAX_DRIVES = 16
/** What virtio shows a guest of a drive's id. */
const SERIAL_LETTERS = 20

/** Throws `drive_exists`, `quota_reached`, `bad_request`. Pure. */
export function requireFreeId({ name, drives }: Pick<NodeRecord, 'name' | 'drives'>, id: string): void {
  if (id === ROOT_DRIVE) {
    throw new SandlabError('drive_exists', `${name} has its root disk already; a node boots from one.`, {
      hint: 'Choose another id for the drive. Nothing was changed.',
    })
  }
  if (id === 'seed') {
    throw new SandlabError('bad_request', 'No drive can be called seed: the disk with the first settings is.', {
      hint: 'Choose another id. Nothing was changed.',
    })
  }
  const other = drives.find((drive) => drive.id.slice(0, SERIAL_LETTERS) === id.slice(0, SERIAL_LETTERS))
  if (other) {
    const alike = other.id === id ? `a drive ${id}` : `the drive ${other.id}, which begins with the same letters`
    throw new SandlabError('drive_exists', `${name} has ${alike} already.`, {
      hint: `Choose another id: the guest sees its first ${SERIAL_LETTERS} letters. Nothing was changed.`,
    })
  }
  if (drives.length < MAX_DRIVES) return
  throw new SandlabError('quota_reached', `${name} has ${MAX_DRIVES} drives, and there is no place for more.`, {
    hint: 'Remove one, or grow one. Nothing was changed.',
  })
}

/** Of a new drive; throws as `requireGoodSettings`. Pure. */
export function newSettings({ readOnly, cache, io, limits }: CreateDrive): DriveSettings {
  const given = { ...DEFAULT_SETTINGS, readOnly, cache, io, limits: merged(DEFAULT_SETTINGS.limits, limits) }
  return requireGoodSettings(given)
}

/** As they were, but for what is asked. Throws as `requireGoodSettings`. Pure. */
export function changedSettings(before: DriveSettings, request: UpdateDrive): DriveSettings {
  return requireGoodSettings({
    readOnly: request.readOnly ?? before.readOnly,
    cache: request.cache ?? before.cache,
    io: request.io ?? before.io,
    limits: merged(before.limits, request.limits),
    changedAt: before.changedAt,
  })
}

function merged(before: DriveLimits, asked: UpdateDrive['limits']): DriveLimits {
  const of = (name: keyof DriveLimits) => (asked?.[name] === undefined ? before[name] : asked[name])
  return {
    bytesPerSecond: of('bytesPerSecond'),
    operationsPerSecond: of('operationsPerSecond'),
    burstBytesPerSecond: of('burstBytesPerSecond'),
    burstOperationsPerSecond: of('burstOperationsPerSecond'),
  }
}

/** Throws `bad_request` for what QEMU would refuse at the start. Pure. */
function requireGoodSettings(settings: DriveSettings): DriveSettings {
  const { cache, io, limits } = settings
  if (io === 'native' && cache !== 'none') {
    throw refused(`The io engine native works only past the host's cache, and the cache is ${cache}.`, {
      hint: 'Choose the cache none, or the io engine threads. Nothing was changed.',
    })
  }
  const { bytesPerSecond, burstBytesPerSecond, operationsPerSecond, burstOperationsPerSecond } = limits
  requireBurst('bytes', bytesPerSecond, burstBytesPerSecond)
  requireBurst('operations', operationsPerSecond, burstOperationsPerSecond)
  return settings
}

function requireBurst(what: string, limit: number | null, burst: number | null): void {
  if (burst === null) return
  if (limit === null) {
    throw refused(`A burst of ${what} per second needs a limit of ${what} per second.`, {
      hint: 'Give the limit, too, or leave the burst out. Nothing was changed.',
    })
  }
  if (burst < limit) {
    throw refused(`A burst of ${burst} ${what} per second is less than the limit of ${limit}.`, {
      hint: 'A burst is what is allowed for a moment: at least the limit. Nothing was changed.',
    })
  }
}

/** Throws `unsupported`: what the root disk is, it stays. Pure. */
export function refuseForRoot(name: string, what: 'added' | 'removed' | 'moved' | 'read-only'): never {
  const reason =
    what === 'read-only'
      ? `The root disk of ${name} can't be read-only: its guest could not boot.`
      : `The root disk of ${name} can't be ${what}: a node has exactly one, which goes with it.`
  throw new SandlabError('unsupported', reason, {
    hint: what === 'added' ? 'Leave `root` out to add a further drive.' : 'Reset, clone or delete the node instead.',
  })
}

/** Throws `not_found`. Pure. */
export function driveOf({ name, drives }: Pick<NodeRecord, 'name' | 'drives'>, driveId: string): DriveRecord {
  const drive = drives.find(({ id }) => id === driveId)
  if (drive) return drive
  const others = drives.map(({ id }) => id).join(', ')
  throw new SandlabError('not_found', `${name} has no drive ${driveId}.`, {
    hint: others === '' ? 'It has only its root disk.' : `It has ${others}.`,
  })
}

/** Throws `disk_too_small`: what is on a disk may reach to its end. Pure. */
export function requireGrowth(what: string, before: number, after: number): void {
  if (after >= before) return
  const [has, asked] = [formatBytes(before), formatBytes(after)]
  throw new SandlabError('disk_too_small', `${what} has ${has} and can't shrink to ${asked}: a disk only grows.`, {
    hint: 'Add a smaller drive and move the data. Nothing was changed.',
    details: { minimumBytes: before },
  })
}

function refused(message: string, extras: { hint: string }): SandlabError {
  return new SandlabError('bad_request', message, extras)
}
