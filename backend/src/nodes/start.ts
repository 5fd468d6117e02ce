import { SandlabError } from '../domain/error.js'
import { nodeRefuses, type NodeRecord } from '../domain/node.js'
import { formatDuration } from '../domain/units.js'
import { admitNode } from './admit-node.js'
import { imageOf, publishNode, recordOf, saveRecord, viewNode, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { remakeMissingDrives } from './drives.js'
import { resumeLocked } from './resume.js'
import { specOf } from './spec.js'

/**
 * Lock, verify storage, admission, record the wish, engine; done when QMP answers and the guest runs. A suspended node goes
 * on where it was; when its memory can't be used, that is kept aside and told, and it boots.
 */
export async function startNode(context: NodesContext, id: string, actor: Actor): Promise<NodeRecord> {
  const { id: nodeId } = recordOf(context, id)
  return context.locks.run(nodeId, 'start', () => startLocked(context, nodeId, actor))
}

/** The same for an action that has the node to itself. `memoryFile`: the guest goes on from this, or it is `unsupported`. */
export async function startLocked(
  context: NodesContext,
  id: string,
  actor: Actor,
  { memoryFile }: { memoryFile?: string } = {},
): Promise<NodeRecord> {
  const record = recordOf(context, id)
  const { status } = viewNode(context, record)
  const refusal = nodeRefuses('start', status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  if (status === 'paused') return resumeNode(context, record, actor)
  const image = imageOf(context, record.imageId)
  const fault = await context.observations.inspectStorage(record, image)
  if (fault !== undefined || !image) throw brokenNode(context, record, fault ?? 'its image is gone')
  return context.startLimiter.run(async () => {
    const resumed = memoryFile === undefined ? await resumeLocked(context, record, actor) : null
    return resumed ?? startChecked(context, recordOf(context, id), image, actor, memoryFile)
  })
}

/** It stands still where it was, mostly because the host's disk was full; nothing of the guest is lost. */
async function resumeNode(context: NodesContext, record: NodeRecord, actor: Actor): Promise<NodeRecord> {
  const node = await context.engine
    .resume(record.id, { key: `resume-${record.id}-${context.now().getTime()}` })
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not let ${record.name} go on`)
    })
  context.observations.setEngine(node)
  return saveRecord(context, record.id, () => {}, { kind: 'started', text: 'Goes on.', actorLogin: actor.login })
}

async function startChecked(
  context: NodesContext,
  record: NodeRecord,
  image: NonNullable<ReturnType<typeof imageOf>>,
  actor: Actor,
  memoryFile: string | undefined,
): Promise<NodeRecord> {
  const began = performance.now()
  await admitNode(context, record)
  try {
    context.observations.setTransition(record.id, 'starting')
    publishNode(context, record.id)
    await remakeMissingDrives(context, record)
    const started = await saveRecord(context, record.id, (draft) => {
      draft.desired = 'running'
      draft.generation += 1
    })
    const spec = specOf(started, image, context.store.data.layers, context.labKeys)
    const node = await context.engine
      .start(
        memoryFile === undefined ? spec : { ...spec, resume: { memoryFile } },
        `start-${record.id}-${started.generation}`,
      )
      .wait()
    context.observations.setEngine(node)
    context.observations.setTransition(record.id, undefined)
    return await saveRecord(context, record.id, () => {}, {
      kind: 'started',
      text: `${memoryFile === undefined ? 'Started' : 'Went on where it was'} in ${formatDuration(performance.now() - began)}.`,
      actorLogin: actor.login,
    })
  } catch (error) {
    context.observations.setTransition(record.id, undefined)
    await startFailed(context, record, error)
    throw engineFailure(error, `Could not start ${record.name}`)
  } finally {
    context.admitted.delete(record.id)
  }
}

/** The wish is taken back, so that the node is stopped and not crashed, and the reason stays in its history. */
async function startFailed(context: NodesContext, record: NodeRecord, error: unknown): Promise<void> {
  context.observations.setEngine(await context.engine.inspect(record.id))
  await saveRecord(
    context,
    record.id,
    (draft) => {
      draft.desired = 'stopped'
    },
    {
      kind: 'warning',
      text: `Start failed: ${error instanceof Error ? error.message : String(error)}`.slice(0, 2000),
      actorLogin: null,
    },
  ).catch((failure: unknown) => {
    // The disk may be the very reason; the next start or boot sets the wish right.
    context.log.error({ err: failure, nodeId: record.id }, 'a failed start could not be recorded')
    publishNode(context, record.id)
  })
}

function brokenNode(context: NodesContext, record: NodeRecord, fault: string): SandlabError {
  publishNode(context, record.id)
  return new SandlabError('node_broken', `${record.name} can't be started: ${fault}`, {
    hint: 'Nothing was changed. Put the file back where it was, then start again; the other nodes are not touched.',
  })
}
