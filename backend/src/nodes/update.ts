import { SandlabError } from '../domain/error.js'
import { nodeRefuses, type NodeRecord, type UpdateNode } from '../domain/node.js'
import { recordOf, saveRecord, viewNode, type Actor, type NodesContext } from './context.js'
import { refuseTaken } from './new-record.js'

/**
 * Name, what happens on stop, recording and keyboard: any time. CPUs, memory and agent: when stopped. Internet: any time,
 * applies at the next start.
 */
export async function updateNode(
  context: NodesContext,
  id: string,
  request: UpdateNode,
  actor: Actor,
): Promise<NodeRecord> {
  const { id: nodeId } = recordOf(context, id)
  return context.locks.run(nodeId, `update-${JSON.stringify(request)}`, async () => {
    const record = recordOf(context, nodeId)
    const status = viewNode(context, record).status
    const changesResources = [request.cpus, request.memoryMib, request.agent].some((value) => value !== undefined)
    const refusal =
      (changesResources ? nodeRefuses('changeResources', status) : undefined) ??
      (request.name === undefined ? undefined : nodeRefuses('rename', status))
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
    return saveRecord(
      context,
      nodeId,
      (draft) => {
        if (request.name !== undefined) {
          refuseTaken(context.store.data, request.name, draft.ownerId, nodeId)
          draft.name = request.name
        }
        if (request.cpus !== undefined) draft.cpus = request.cpus
        if (request.memoryMib !== undefined) draft.memoryMib = request.memoryMib
        if (request.internet !== undefined) draft.internet = request.internet
        if (request.agent !== undefined) draft.agent = request.agent
        if (request.onStop !== undefined) draft.onStop = request.onStop
        if (request.recording !== undefined) draft.recording = request.recording
        if (request.keyboard !== undefined) draft.keyboard = request.keyboard
      },
      { kind: 'changed', text: describe(record, request), actorLogin: actor.login },
    )
  })
}

const RECORDING: Record<string, string> = { true: 'on', false: 'off', null: 'as the lab says' }

function describe(before: NodeRecord, request: UpdateNode): string {
  const parts = [
    request.name === undefined ? '' : `name ${before.name} → ${request.name}`,
    request.cpus === undefined ? '' : `CPUs ${before.cpus} → ${request.cpus}`,
    request.memoryMib === undefined ? '' : `memory ${before.memoryMib} → ${request.memoryMib} MiB`,
    request.internet === undefined
      ? ''
      : `internet ${request.internet ? 'allowed' : 'not allowed'} from the next start`,
    request.agent === undefined ? '' : `port for the guest's agent ${request.agent ? 'on' : 'off'}`,
    request.onStop === undefined ? '' : `when SandLabX is told to end: ${request.onStop ?? 'as all nodes'}`,
    request.recording === undefined ? '' : `recording ${RECORDING[String(request.recording)]}`,
    request.keyboard === undefined ? '' : `keyboard ${request.keyboard ?? 'the usual one'}`,
  ]
  return `Changed: ${parts.filter((part) => part !== '').join(', ')}.`
}
