import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema } from '../../domain/ids.js'
import type { Operation } from '../../domain/operation.js'
import { overlayApiPath } from '../../domain/layout.js'
import type { TestBoot, TestBootReport } from '../../domain/test-boot.js'
import type { NodeSpec } from '../../hosts/engine.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { engineFailure } from '../../nodes/engine-failure.js'
import { admitNode } from '../../nodes/admit-node.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { testBootReports, type KeptTestBoot } from './test-boot-reports.js'
import { targetOf } from './test-boot-target.js'
import { watchBoot, type Seen } from './test-boot-watch.js'

const intentSchema = z.object({
  /** Of the ephemeral node: all that it leaves is found by it. */
  id: nodeIdSchema,
  title: z.string(),
  /** Whose disk stands still meanwhile. */
  nodeId: nodeIdSchema.nullable(),
  ownerId: z.string().nullable(),
  spec: z.custom<NodeSpec>((value) => typeof value === 'object' && value !== null),
  expect: z.string().optional(),
  timeoutSeconds: z.int(),
})
type TestBootIntent = z.infer<typeof intentSchema>

/**
 * Boots a disk in an ephemeral node, which never writes to it, looks whether its guest comes up, and leaves nothing: the
 * node goes, whatever happened, by the end of this process or by the start of the next. It is a success when it is up.
 */
export function testBootProcedure(context: NodesContext): Procedure<TestBootIntent> {
  return {
    kind: 'node.testBoot',
    intent: intentSchema,
    resources: ({ spec }) => [{ type: 'disk', id: overlayApiPath(spec.disks[0]?.file ?? '') }],
    around: ({ nodeId }, work) => (nodeId === null ? work() : context.locks.run(nodeId, 'test boot', work)),
    steps: [
      {
        title: 'Making a disk that goes again',
        async do({ spec }) {
          await context.engine
            .ensureNode(spec, `test-${spec.id}`)
            .wait()
            .catch((error: unknown) => {
              throw engineFailure(error, 'Could not make a disk for the test')
            })
        },
        undo: ({ id }) => removeEphemeral(context, id),
      },
      { title: 'Booting it', do: (intent, op) => bootAndReport(context, intent, op) },
      { title: 'Switching it off', do: ({ id }) => removeEphemeral(context, id) },
    ],
    commit() {}, // nothing of it is in the state
  }
}

async function bootAndReport(context: NodesContext, intent: TestBootIntent, op: BulkHandle): Promise<void> {
  const began = performance.now()
  const outcome = await boot(context, intent, op)
  const screen = await context.engine.screenshot(intent.id).catch(() => null) // it may have ended
  const { ok, ...seen } = outcome
  const report: KeptTestBoot = {
    operationId: op.id,
    title: intent.title,
    state: ok ? 'success' : 'failure',
    ...seen,
    tookMs: Math.round(performance.now() - began),
    hasScreenshot: screen !== null,
    at: context.now().toISOString(),
    ownerId: intent.ownerId,
  }
  await testBootReports(context.layout).keep(report, screen === null ? {} : { '.png': screen })
  if (ok) return
  throw new SandlabError('test_boot_failed', `${intent.title}: ${outcome.message}`, {
    hint: 'Its report has the last serial lines, and the screen. Nothing was written to the disk.',
  })
}

async function boot(context: NodesContext, intent: TestBootIntent, op: BulkHandle): Promise<Seen> {
  const { engine } = context
  const { spec, id } = intent
  await admitNode(context, { ...spec, name: `the test of ${intent.title}` })
  try {
    await engine.start(spec, `test-${id}`).wait()
    let last = ''
    return await watchBoot(engine, id, intent, op.signal, (line) => {
      if (line !== last && line !== '') op.step(`Booting: ${line.slice(0, 100)}`, null)
      last = line
    })
  } catch (error) {
    if (op.signal.aborted) throw error
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, seen: null, message: `QEMU could not be started: ${message}`, serialTail: [] }
  } finally {
    context.admitted.delete(id)
  }
}

/** Process, disk, sockets, run folder: found by its id. Absent is success, whatever of it is absent. */
async function removeEphemeral({ engine }: NodesContext, id: TestBootIntent['id']): Promise<void> {
  const key = `test-${id}-over`
  try {
    await engine.stop(id, { key, graceMs: 0 }).wait()
    await engine.remove(id, { key, disks: 'keep' }).wait() // the engine's own disk of it goes with it
  } catch (error) {
    throw engineFailure(error, 'The ephemeral node could not be removed yet')
  }
}

/** Test boots: begun, and what they have found. */
export interface TestBoots {
  /** Back as soon as it has begun. Throws `not_found`, `wrong_status`, `storage_not_found`, `chain_broken`, … */
  begin(request: TestBoot, actor: Actor): Promise<Operation>
  /** Undefined when there is none of that operation, or no more. */
  report(operationId: string): Promise<KeptTestBoot | undefined>
  /** Newest first. */
  list(): Promise<KeptTestBoot[]>
}

export function createTestBoots(context: NodesContext): TestBoots {
  const reports = testBootReports(context.layout)
  return {
    async begin(request, actor) {
      const earlier = context.transactions.earlier(actor)
      if (earlier) return earlier.operation
      const { spec, title, nodeId } = await targetOf(context, request)
      const { expect, timeoutSeconds } = request
      const intent: TestBootIntent = { id: spec.id, title, nodeId, ownerId: actor.id, spec, expect, timeoutSeconds }
      const { operation } = context.transactions.run(testBootProcedure(context), intent, {
        title: `Test boot of ${title}`,
        actor,
        target: nodeId === null ? null : { type: 'node', id: nodeId },
        cancellable: true,
        request: actor.request ?? null,
      })
      return operation
    },
    report: (operationId) => reports.read(operationId),
    list: () => reports.list(),
  }
}

/** As people see it, without whose it is. */
export function viewTestBoot({ ownerId: _ownerId, ...report }: KeptTestBoot): TestBootReport {
  return report
}
