import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { nodeIdSchema } from '../domain/ids.js'
import { overlayApiPath } from '../domain/layout.js'
import { suspendedSchema, type NodeRecord } from '../domain/node.js'
import { formatDuration } from '../domain/units.js'
import { EngineError, type EngineNode } from '../hosts/engine.js'
import { readBootId } from '../hosts/processes.js'
import { writeSidecar } from '../storage/sidecars.js'
import { fsyncDirectory } from '../system/durable-file.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { admitNode } from './admit-node.js'
import { imageOf, publishNode, recordOf, saveRecord, type Actor, type NodesContext } from './context.js'
import { setMemoryAside } from './discard-memory.js'
import { engineFailure } from './engine-failure.js'
import { specOf } from './spec.js'
import { isUntouchedSince, memoryFault } from './suspended-disks.js'

const resumeIntentSchema = z.object({
  /** The engine's key. */
  id: z.uuid(),
  at: z.iso.datetime(),
  nodeId: nodeIdSchema,
  nodeName: z.string(),
  suspended: suspendedSchema,
  /** Of the run that begins. */
  generation: z.int().positive(),
  /** Of this machine: until the next one, times of files are exact. */
  bootId: z.string(),
  actorLogin: z.string(),
})
type ResumeIntent = z.infer<typeof resumeIntentSchema>

/**
 * Lets a suspended guest go on. Its memory is loaded while it is held; then the record says that the memory is used up,
 * durably; only then it runs. So no guest ever runs on from memory that is older than its disks.
 */
export function resumeProcedure(context: NodesContext): Procedure<ResumeIntent> {
  return {
    kind: 'node.resume',
    intent: resumeIntentSchema,
    resources: ({ suspended }) => [{ type: 'memory', id: overlayApiPath(suspended.memoryFile) }],
    steps: [
      {
        title: 'Loading its memory',
        do: (intent) => load(context, intent),
        undo: (intent) => unload(context, intent),
      },
    ],
    commit(draft, { nodeId, nodeName, suspended, generation, at }) {
      const record = draft.nodes.find(({ id }) => id === nodeId)
      if (record?.suspended?.memoryFile !== suspended.memoryFile) {
        throw new SandlabError('wrong_status', `${nodeName} is not suspended any more.`)
      }
      record.suspended = null
      record.desired = 'running'
      record.generation = generation
      record.updatedAt = at
    },
    after: [
      { title: 'Letting the guest go on', do: (intent, op) => letGoOn(context, intent, op) },
      {
        title: 'Removing the file of its memory',
        async do({ nodeId, suspended }) {
          const record = context.store.data.nodes.find(({ id }) => id === nodeId)
          if (record?.suspended?.memoryFile === suspended.memoryFile) return
          await rm(`${context.layout.overlays}/${suspended.memoryFile}`, { force: true })
          await fsyncDirectory(context.layout.overlays)
          if (record) await writeSidecar(context.layout, record)
        },
      },
    ],
  }
}

/**
 * For an action that has the node to itself, whose disks are well. Null: its memory could not be used and is kept aside,
 * so that it is to boot. Throws `no_capacity`, `engine_failed`, …: it is then suspended as before.
 */
export async function resumeLocked(
  context: NodesContext,
  record: NodeRecord,
  actor: Actor,
): Promise<NodeRecord | null> {
  const { suspended } = record
  if (!suspended) return null
  const began = performance.now()
  const fault = (await memoryFault(context.layout, record)) ?? (await tryResume(context, record, actor))
  if (fault === undefined) {
    const text = `Went on where it was in ${formatDuration(performance.now() - began)}; ${clockWords(context, record, suspended.at)}`
    return saveRecord(context, record.id, () => {}, { kind: 'started', text, actorLogin: actor.login })
  }
  context.log.warn(
    { nodeId: record.id, fault },
    'the memory of a suspended node can not be used; it is kept in the trash',
  )
  await setMemoryAside(context, record, fault, actor)
  return null
}

/** What the guest does not know by itself. */
function clockWords(context: NodesContext, { agent }: NodeRecord, since: string): string {
  if (agent) return 'its agent is told the time.'
  const gone = formatDuration(Math.max(0, context.now().getTime() - Date.parse(since)))
  return `its hardware clock is right, its own is ${gone} behind until the guest reads it.`
}

/** What is wrong with its memory; undefined when it goes on. */
async function tryResume(context: NodesContext, record: NodeRecord, actor: Actor): Promise<string | undefined> {
  const { suspended } = record
  if (!suspended) return undefined
  await admitNode(context, record)
  try {
    context.observations.setTransition(record.id, 'starting')
    publishNode(context, record.id)
    const intent: ResumeIntent = {
      id: crypto.randomUUID(),
      at: context.now().toISOString(),
      nodeId: record.id,
      nodeName: record.name,
      suspended,
      generation: record.generation + 1,
      bootId: await readBootId(),
      actorLogin: actor.login,
    }
    const { result } = context.transactions.run(resumeProcedure(context), intent, {
      title: `Resume ${record.name}`,
      actor: { id: actor.id, login: actor.login },
      target: { type: 'node', id: record.id },
      cancellable: false,
    })
    await result
    return undefined
  } catch (error) {
    const cause = isSandlabError(error) ? error.cause : undefined
    if (cause instanceof EngineError && cause.code === 'bad-memory') return cause.message
    throw error
  } finally {
    context.admitted.delete(record.id)
    context.observations.setTransition(record.id, undefined)
    publishNode(context, record.id)
  }
}

async function load(
  context: NodesContext,
  { id, nodeId, nodeName, suspended, generation }: ResumeIntent,
): Promise<void> {
  const record = recordOf(context, nodeId)
  const image = imageOf(context, record.imageId)
  if (!image) throw new SandlabError('node_broken', `${nodeName} can't be started: its image is gone.`)
  const spec = specOf({ ...record, generation }, image, context.store.data.layers, context.labKeys)
  const node = await context.engine
    .start({ ...spec, resume: { memoryFile: suspended.memoryFile, hold: true } }, id)
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not let ${nodeName} go on`)
    })
  context.observations.setEngine(node)
}

/** It has not run: nothing of it is lost. */
async function unload(context: NodesContext, { id, nodeId }: ResumeIntent): Promise<void> {
  const { node } = await context.engine.stop(nodeId, { key: `${id}-back`, graceMs: 0 }).wait()
  context.observations.setEngine(node)
}

/** Also for a process that finds it committed. A machine that is gone before its guest wrote anything is suspended again. */
async function letGoOn(context: NodesContext, intent: ResumeIntent, op: BulkHandle): Promise<void> {
  const { id, nodeId, nodeName } = intent
  const record = context.store.data.nodes.find((one) => one.id === nodeId)
  if (!record || record.generation !== intent.generation) return
  try {
    const node = await context.engine.resume(nodeId, { key: `${id}-go` }).wait()
    return context.observations.setEngine(node)
  } catch (error) {
    const node = await context.engine.inspect(nodeId)
    context.observations.setEngine(node)
    if (!hasEnded(node)) {
      // Paused again at once, for want of room: it is told by its status.
      if (node.phase === 'paused') return
      throw engineFailure(error, `Could not let ${nodeName} go on`)
    }
  }
  op.log(`${nodeName} has ended before it went on.`)
  if (intent.bootId !== (await readBootId())) return
  const { layout } = context
  if (!(await isUntouchedSince(layout, record, intent.suspended))) return
  if ((await memoryFault(layout, { ...record, suspended: intent.suspended })) !== undefined) return
  await saveRecord(context, nodeId, (draft) => {
    draft.suspended = intent.suspended
    draft.desired = 'stopped'
  })
  op.log('Its guest has written nothing since: it is suspended as before.')
}

function hasEnded({ phase }: EngineNode): boolean {
  return phase === 'stopped' || phase === 'failed' || phase === 'absent'
}
