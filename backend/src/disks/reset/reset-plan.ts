import { stat } from 'node:fs/promises'
import { isSandlabError, type SandlabError } from '../../domain/error.js'
import { overlayApiPath, overlayFile } from '../../domain/layout.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { NodeRecord } from '../../domain/node.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type NodesContext } from '../../nodes/context.js'
import { usedBytes } from '../../storage/overlays.js'
import { measureSpace } from '../../storage/space.js'
import { createLimiter } from '../../system/limiter.js'
import { errorOf } from '../../transactions/operation-record.js'
import { FRESH_BYTES } from './reset.js'
import { prepareNode } from './reset-intent.js'
import { titleOf, type ResetRequest } from './reset-many.js'

/** What would be lost of each node, and whether it would be refused. Changes nothing. */
export async function planReset(
  context: NodesContext,
  ids: readonly string[],
  request: ResetRequest,
): Promise<OperationPlan> {
  const limiter = createLimiter(8)
  const at = context.now().toISOString()
  const looked = await Promise.all(
    ids.map((id) => limiter.run(() => lookAt(context, recordOf(context, id), request, at))),
  )
  const going = looked.filter(({ refusal }) => refusal === null || !request.keepGoing)
  const refused = looked.flatMap(({ record, refusal }) => (refusal ? [{ record, refusal }] : []))
  const stands = !request.keepGoing || refused.length === looked.length ? (refused[0]?.refusal ?? null) : null
  return {
    kind: 'node.reset',
    title: titleOf(looked.map(({ record }) => record)),
    steps: stepsOf(
      request,
      going.some(({ running }) => running),
    ),
    space: await measureSpace([{ path: context.layout.overlays, bytes: going.length * FRESH_BYTES }]),
    creates: [],
    replaces: going.map(({ record, bytes, written }) => ({
      type: 'disk',
      id: record.id,
      name: record.name,
      bytes,
      fate: `moves to the trash${written === null ? '' : `, last written ${written}`}`,
    })),
    files: going.flatMap(filesOf),
    warnings: [
      ...runningWarning(
        going.filter(({ running }) => running).map(({ record }) => record),
        request.now,
      ),
      ...drivesWarning(going.map(({ record }) => record)),
      ...(stands
        ? refused.slice(1).map(({ refusal }) => refusal.message)
        : refused.map(({ record, refusal }) => `${record.name} would not be reset: ${refusal.message}`)),
    ],
    refusal: stands && errorOf(stands),
  }
}

interface Looked {
  record: NodeRecord
  running: boolean
  /** Written since its base. */
  bytes: number
  /** Null when there is no disk. */
  written: string | null
  drives: { path: string; bytes: number }[]
  refusal: SandlabError | null
}

async function lookAt(context: NodesContext, record: NodeRecord, request: ResetRequest, at: string): Promise<Looked> {
  const { layout } = context
  const disk = await stat(overlayFile(layout, record.id)).catch(() => undefined)
  const drives = record.drives.map(async ({ file }) => {
    const own = !file.startsWith('/')
    return {
      path: own ? overlayApiPath(file) : file,
      bytes: (await usedBytes(own ? `${layout.overlays}/${file}` : file)) ?? 0,
    }
  })
  return {
    record,
    running: isAlive(context, record),
    bytes: disk ? disk.blocks * 512 : 0,
    written: disk?.mtime.toISOString() ?? null,
    drives: await Promise.all(drives),
    refusal: await prepareNode(context, record.id, request, at).then(() => null, refusalOrThrow),
  }
}

function refusalOrThrow(error: unknown): SandlabError {
  if (isSandlabError(error)) return error
  throw error
}

function filesOf({ record, bytes, written, drives }: Looked): OperationPlan['files'] {
  const root = { path: overlayApiPath(record.overlayFile), bytes, fate: 'moves to the trash' }
  const others = drives.map((drive) => ({ ...drive, fate: 'stays as it is' }))
  return written === null ? others : [root, ...others]
}

function stepsOf({ snapshot, now }: ResetRequest, stops: boolean): string[] {
  const to = snapshot === undefined ? 'the base image' : `the snapshot ${snapshot}`
  return [
    ...(stops ? [now ? 'Switch off what runs' : 'Ask the guests that run to shut down'] : []),
    'Move the disks to the trash',
    `Make fresh disks over ${to}`,
    ...(stops ? ['Start what ran'] : []),
  ]
}

function runningWarning(records: readonly NodeRecord[], now: boolean): string[] {
  if (records.length === 0) return []
  const names = records.map(({ name }) => name).join(', ')
  return [`${now ? 'Switched off without being asked' : 'Shut down first'}, and started again: ${names}.`]
}

function drivesWarning(records: readonly NodeRecord[]): string[] {
  const some = records.filter(({ drives }) => drives.length > 0)
  if (some.length === 0) return []
  return [`Further drives stay as they are, with what is on them: ${some.map(({ name }) => name).join(', ')}.`]
}
