import { isSandlabError, type SandlabError } from '../domain/error.js'
import { overlayFile } from '../domain/layout.js'
import type { CloneNode } from '../domain/node.js'
import type { OperationPlan } from '../domain/plan.js'
import { isUntouched } from '../storage/layers.js'
import { usedBytes } from '../storage/overlays.js'
import { measureSpace, noSpace } from '../storage/space.js'
import { errorOf } from '../transactions/operation-record.js'
import { leftBehind } from './clone-drive-plan.js'
import type { CloneIntent } from './clone-intent.js'
import { copiesDisk, isAlive, prepareClone, type CloneRights } from './clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from './context.js'
import { replaceWarning } from './replace.js'
import { planSend } from './send.js'

/** What a clone would do, what it would take, and whether it would be refused. */
export async function planClone(
  context: NodesContext,
  id: string,
  request: CloneNode,
  actor: Actor,
  rights: CloneRights,
): Promise<OperationPlan> {
  if (request.to) return planSend(context, id, request, actor)
  const prepared = await prepareClone(context, id, request, actor, rights).catch((error: unknown) => {
    if (isSandlabError(error)) return error
    throw error
  })
  if (isSandlabError(prepared)) return refusedPlan(context, id, request, prepared)
  const space = await measureSpace([{ path: context.layout.overlays, bytes: prepared.needBytes }])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const layer = await describeLayer(context, prepared)
  return {
    kind: 'node.clone',
    title: titleOf(prepared),
    steps: stepsOf(prepared, layer),
    space,
    creates: [
      ...(layer === null ? [] : [{ type: 'layer' as const, name: prepared.layerName ?? `of ${prepared.source.name}` }]),
      ...prepared.records.map(({ name }) => ({ type: 'node' as const, name })),
    ],
    replaces: await Promise.all(
      prepared.replaced.map(async (record) => ({
        type: 'node' as const,
        id: record.id,
        name: record.name,
        bytes: (await usedBytes(overlayFile(context.layout, record.id))) ?? 0,
        fate: `${isAlive(context, record) ? 'is stopped and ' : ''}moves to the trash with its record`,
      })),
    ),
    files: [],
    warnings: warningsOf(context, prepared),
    refusal: short ? errorOf(noSpace(short, whatOf(prepared))) : null,
  }
}

export function titleOf({ source, records }: Pick<CloneIntent, 'source' | 'records'>): string {
  return `Clone ${source.name} to ${records.length === 1 ? records[0]?.name : `${records.length} nodes`}`
}

/** Completes "Could not …". */
export function whatOf(intent: Pick<CloneIntent, 'source' | 'records'>): string {
  return titleOf(intent).replace('Clone', 'clone')
}

/** For the operation's log and the audit, too. */
export function warningsOf(context: NodesContext, intent: CloneIntent): string[] {
  const { source, replaced, replacedBy, records, snapshotId } = intent
  const losesInternet = source.internet && records.some(({ internet }) => !internet)
  const running = replaced.filter((record) => isAlive(context, record)).map(({ name }) => name)
  return [
    ...replaced.map((record) => replaceWarning(record, replacedBy)),
    ...(running.length === 0 ? [] : [`${running.join(', ')}: running, and stopped first, as by the button.`]),
    ...leftBehind(source, intent.drives),
    ...(losesInternet ? [`${source.name} reaches the internet; its clones do not, since you may not allow that.`] : []),
    ...(snapshotId === null && isAlive(context, source)
      ? ['The source runs: what its guest has not yet written to its disk is not in the clones, as after a power cut.']
      : []),
  ]
}

type LayerWay = 'moved' | 'copied' | null

async function describeLayer(context: NodesContext, intent: CloneIntent): Promise<LayerWay> {
  const { full, layerName, snapshotId } = intent
  if (layerName === null && (full || snapshotId !== null)) return null
  const source = recordOf(context, intent.source.id)
  if (copiesDisk(context, source)) return 'copied'
  const disk = overlayFile(context.layout, source.id)
  return layerName === null && (await isUntouched(disk).catch(() => false)) ? null : 'moved'
}

function stepsOf({ source, full, replaced, start, records, layerName }: CloneIntent, layer: LayerWay): string[] {
  const named = layerName === null ? '' : ` and keep it as the snapshot ${layerName}`
  return [
    ...(layer === 'copied'
      ? [`Freeze the disk of ${source.name} for a moment and copy what differs from its base${named}`]
      : []),
    ...(layer === 'moved'
      ? [`Make the disk of ${source.name} a read-only layer${named}; give it an empty one over it`]
      : []),
    full ? 'Copy the whole disk and compare the checksums' : 'Make empty disks over what the source stands on',
    'Write the records beside them',
    ...(replaced.length > 0 ? ['Move what is replaced to the trash'] : []),
    records.length === 1 ? 'Record the node' : 'Record the nodes',
    ...(start ? ['Start the clones, several at a time'] : []),
  ]
}

function refusedPlan(context: NodesContext, id: string, request: CloneNode, error: SandlabError): OperationPlan {
  const { name } = recordOf(context, id)
  return {
    kind: 'node.clone',
    title: `Clone ${name} to ${request.count === 1 ? request.name : `${request.count} nodes`}`,
    steps: [],
    space: [],
    creates: [],
    replaces: [],
    files: [],
    warnings: [],
    refusal: errorOf(error),
  }
}
