import { createLimiter } from '../system/limiter.js'
import { saveRecord, type NodesContext } from './context.js'
import { startNode } from './start.js'

/** Looks at memories and disks beside each other; how many guests load at once is the start's own matter. */
const AT_ONCE = 8
const BY_SYSTEM = { id: null, login: 'system' }

export interface ResumeReport {
  resumed: string[]
  failed: { name: string; reason: string }[]
}

/**
 * Lets every node go on that was suspended because SandLabX was told to end. One that can't stays suspended, and its
 * history says why; one whose memory is of no use boots. Never throws; `signal` ends it between two nodes.
 */
export async function resumeLeft(context: NodesContext, signal: AbortSignal): Promise<ResumeReport> {
  const waiting = context.store.data.nodes.filter(({ suspended }) => suspended?.why === 'stop')
  const report: ResumeReport = { resumed: [], failed: [] }
  if (waiting.length === 0) return report
  const began = performance.now()
  context.log.info({ nodes: waiting.length }, 'letting go on what was suspended')
  const limiter = createLimiter(AT_ONCE)
  await Promise.all(
    waiting.map(({ id, name }) =>
      limiter.run(async () => {
        if (signal.aborted) return
        try {
          await startNode(context, id, BY_SYSTEM)
          report.resumed.push(name)
          const done = report.resumed.length + report.failed.length
          context.log.info({ node: name, done, of: waiting.length }, `${name} goes on (${done} of ${waiting.length})`)
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          report.failed.push({ name, reason })
          context.log.warn({ err: error, node: name }, 'a suspended node does not go on yet')
          await tell(context, id, `It did not go on when SandLabX was started. ${reason}`)
        }
      }),
    ),
  )
  context.log.info({ ...report, ms: Math.round(performance.now() - began) }, 'went on')
  return report
}

async function tell(context: NodesContext, id: string, text: string): Promise<void> {
  const record = context.store.data.nodes.find((node) => node.id === id)
  if (!record) return
  const event = { kind: 'warning' as const, text: text.slice(0, 2000), actorLogin: null }
  await saveRecord(context, record.id, () => {}, event).catch((error: unknown) => {
    context.log.warn({ err: error, nodeId: id }, 'a node that did not go on could not be told')
  })
}
