import { memoryFileName } from '../../domain/layout.js'
import type { NodeId, SnapshotId } from '../../domain/ids.js'
import { isSandlabError } from '../../domain/error.js'
import { recordOf, saveRecord, type Actor, type NodesContext } from '../../nodes/context.js'
import { startLocked } from '../../nodes/start.js'
import type { OperationHandle } from '../../transactions/operations.js'

interface Restart {
  record: { id: NodeId; name: string }
  snapshot: { id: SnapshotId }
  start: boolean
  resume: boolean
  actor: Actor
}

/**
 * Starts a restored node, from its saved memory where there is one; memory that can't be loaded is told, and it boots.
 * Never throws: it is restored in any case. Call alone on the node.
 */
export async function startAgain(
  context: NodesContext,
  { record: { id, name }, snapshot, start, resume, actor }: Restart,
  op: Pick<OperationHandle, 'log'>,
): Promise<void> {
  if (!start) return
  // While SandLabX itself is starting, nothing waits for guests to boot.
  if (context.transactions.recovery === null) {
    op.log(`SandLabX ended before ${name} was started: start it yourself.`)
    return
  }
  if (resume) {
    try {
      await startLocked(context, id, actor, { memoryFile: memoryFileName(snapshot.id) })
      op.log(`${name} went on at the moment of the snapshot.`)
      return
    } catch (error) {
      if (!isSandlabError(error, 'unsupported')) return tellFailure(error)
      const text = `The memory of the snapshot could not be loaded, so that it boots instead. ${error.message}`
      op.log(text)
      const told = { kind: 'warning' as const, text: text.slice(0, 2000), actorLogin: actor.login }
      await saveRecord(context, recordOf(context, id).id, () => {}, told)
    }
  }
  try {
    await startLocked(context, id, actor)
  } catch (error) {
    tellFailure(error)
  }

  function tellFailure(error: unknown): void {
    op.log(`${name} is restored, but could not be started: ${error instanceof Error ? error.message : String(error)}`)
  }
}
