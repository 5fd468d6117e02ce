import { SandlabError } from '../domain/error.js'
import { nodeRefuses, type NodeRecord } from '../domain/node.js'
import type { StopResult } from '../hosts/engine.js'
import { imageOf, publishNode, recordOf, saveRecord, viewNode, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { keepLastScreen } from './screen.js'
import { serialLines } from './serial-tail.js'

const HOW: Record<StopResult['how'], string> = {
  'already-stopped': 'It had stopped already.',
  'guest-shutdown': 'The guest shut down.',
  quit: 'It was switched off.',
  sigterm: 'QEMU did not answer and was ended with SIGTERM.',
  sigkill: 'QEMU did not answer and was ended with SIGKILL.',
}

/**
 * Guest shutdown, then harder; `now` goes straight to switching off, also while a gentle stop is waiting for the guest.
 * The disk stays in every case.
 */
export async function stopNode(context: NodesContext, id: string, now: boolean, actor: Actor): Promise<NodeRecord> {
  const { id: nodeId } = recordOf(context, id)
  if (now && context.locks.busy(nodeId) === 'stop') {
    await endNode(context, recordOf(context, nodeId), true)
    // The gentle stop under way records the end.
  }
  return context.locks.run(nodeId, 'stop', async () => {
    const record = recordOf(context, nodeId)
    const status = viewNode(context, record).status
    if (now && status === 'stopped') return record
    const refusal = nodeRefuses('stop', status)
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
    return stopLocked(context, record, now, actor)
  })
}

/** For an action that has a running node to itself. */
export async function stopLocked(
  context: NodesContext,
  record: NodeRecord,
  now: boolean,
  actor: Actor,
): Promise<NodeRecord> {
  context.observations.setTransition(record.id, 'stopping')
  publishNode(context, record.id)
  try {
    await keepLastScreen(context, record.id)
    await saveRecord(context, record.id, (draft) => {
      draft.desired = 'stopped'
    })
    const result = await endNode(context, record, now)
    const serialTail = await serialLines(context.engine, record.id)
    context.observations.setTransition(record.id, undefined)
    const stopped = await saveRecord(
      context,
      record.id,
      (draft) => {
        draft.lastExit = {
          at: context.now().toISOString(),
          how: result.how === 'guest-shutdown' || result.how === 'already-stopped' ? 'asked' : 'forced',
          reason: HOW[result.how],
          serialTail,
        }
      },
      { kind: 'stopped', text: HOW[result.how], actorLogin: actor.login },
    )
    await context.observations.inspectStorage(stopped, imageOf(context, stopped.imageId))
    return stopped
  } finally {
    context.observations.setTransition(record.id, undefined)
    publishNode(context, record.id)
  }
}

async function endNode(context: NodesContext, record: NodeRecord, now: boolean): Promise<StopResult> {
  const graceMs = now ? 0 : context.rules.stopGraceMs
  const key = `${now ? 'off' : 'stop'}-${record.id}-${record.generation}`
  const result = await context.engine
    .stop(record.id, { key, graceMs })
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not stop ${record.name}`)
    })
  context.observations.setEngine(result.node)
  return result
}

/** The guest's reset button: same QEMU process, same consoles. */
export async function restartNode(context: NodesContext, id: string, actor: Actor): Promise<NodeRecord> {
  const { id: nodeId } = recordOf(context, id)
  return context.locks.run(nodeId, 'restart', async () => {
    const record = recordOf(context, nodeId)
    const refusal = nodeRefuses('restart', viewNode(context, record).status)
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
    const key = `restart-${record.id}-${context.now().getTime()}`
    const node = await context.engine
      .restart(record.id, { key })
      .wait()
      .catch((error: unknown) => {
        throw engineFailure(error, `Could not restart ${record.name}`)
      })
    context.observations.setEngine(node)
    return saveRecord(context, record.id, () => {}, { kind: 'started', text: 'Restarted.', actorLogin: actor.login })
  })
}
