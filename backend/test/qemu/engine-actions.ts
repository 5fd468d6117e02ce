import { connect } from 'node:net'
import type { NodeId } from '../../src/domain/ids.js'
import type { EngineNode, NodeEngine } from '../../src/hosts/engine.js'
import { READY } from '../support/tiny-guest.js'
import { eventually } from './engine-contract.js'

export async function stopNow(engine: NodeEngine, id: NodeId): Promise<void> {
  await engine.stop(id, { key: `now-${performance.now()}`, graceMs: 0 }).wait()
}

/** Once its guest reads. */
export async function typeOnSerial(engine: NodeEngine, id: NodeId, text: string): Promise<void> {
  await eventually(async () => (await engine.serialTail(id, 100_000)).includes(READY), 'the guest')
  const target = await engine.console(id, 'serial')
  if (target.via !== 'unix') throw new Error('a QEMU of ours has unix sockets')
  const line = connect(target.path)
  line.on('error', () => undefined)
  await new Promise<void>((resolve) => line.end(text, () => resolve()))
}

/** Resolves with the node when it has ended the next time. */
export function nextEnd(engine: NodeEngine, id: NodeId): Promise<EngineNode> {
  return new Promise((resolve) => {
    const unsubscribe = engine.onChange((node) => {
      if (node.id !== id || !node.ended) return
      unsubscribe()
      resolve(node)
    })
  })
}
