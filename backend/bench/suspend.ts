import { setTimeout as delay } from 'node:timers/promises'
import type { NodeId } from '../src/domain/ids.js'
import { createNodeSchema } from '../src/domain/node.js'
import { provideImage } from '../test/support/built-images.js'
import type { Person } from '../test/support/lab.js'
import { startRealLab, type RealLab } from '../test/support/real-lab.js'
import { openTerminal, type GuestTerminal } from '../test/qemu/guest-terminal.js'
import { timed, type Bench } from './bench.js'
import { layRecipes } from './recipes.js'

const NODES = 10
const MEMORY_MIB = 256
/** A guest is not done with its boot at the prompt: what it still does then is no part of going on from its memory. */
const SETTLE_MS = 20_000
const LOGIN = /login: $/

export const benches: Bench[] = [
  { name: 'suspend and resume of 10 nodes, against 10 cold boots to a login', goal: 0.25, run: suspendAndResume },
]

/** As when SandLabX is told to end, and starts again; what the new process itself takes is not in it. */
async function suspendAndResume(): Promise<{ ratio: number; detail: string }> {
  await layRecipes()
  const lab = await startRealLab()
  try {
    const { nodes, store } = lab.backend.services.lab!
    await provideImage(lab.layout, store, 'tiny')
    const ids = await makeNodes(lab, await lab.person('administrator'))
    const actor = { id: null, login: 'bench' }
    const bootMs = await timed(() =>
      Promise.all(
        ids.map(async (id) => {
          await nodes.start(id, actor)
          await atTerminal(lab, id, (terminal) => terminal.waitFor(LOGIN))
        }),
      ),
    )
    await delay(SETTLE_MS)
    const suspendMs = await timed(() => nodes.leave({ onStop: 'suspend', withinMs: 120_000 }))
    const bytes = store.data.nodes.reduce((sum, { suspended }) => sum + (suspended?.sizeBytes ?? 0), 0)
    if (store.data.nodes.some(({ suspended }) => suspended === null)) throw new Error('not all of them were suspended')
    const resumeMs = await timed(async () => {
      await Promise.all(
        ids.map(async (id) => {
          await nodes.start(id, actor)
          await atTerminal(lab, id, async (terminal) => {
            terminal.type('\r') // an answer to this, not only a process
            await terminal.waitFor(LOGIN)
          })
        }),
      )
    })
    const seconds = (ms: number) => (ms / 1000).toFixed(2)
    return {
      ratio: (suspendMs + resumeMs) / bootMs,
      detail:
        `${seconds(suspendMs)} s and ${seconds(resumeMs)} s to an answer, against ${seconds(bootMs)} s; ` +
        `${MEMORY_MIB} MiB each, ${Math.round(bytes / NODES / 1024 ** 2)} MiB on the disk, no KVM`,
    }
  } finally {
    await lab.backend.services.lab?.nodes.leave({ onStop: 'shutdown', withinMs: 30_000 })
    await lab.close()
  }
}

async function makeNodes({ backend }: RealLab, { id: ownerId, login }: Person): Promise<NodeId[]> {
  const { nodes } = backend.services.lab!
  const ids: NodeId[] = []
  for (let index = 0; index < NODES; index += 1) {
    const request = { name: `bench-${index}`, image: 'tiny', cpus: 1, memoryMib: MEMORY_MIB }
    const { node } = await nodes.create(createNodeSchema.parse(request), { id: ownerId, login })
    ids.push(node.id)
  }
  return ids
}

async function atTerminal(
  { engine }: RealLab,
  id: NodeId,
  work: (terminal: GuestTerminal) => Promise<unknown>,
): Promise<void> {
  const target = await engine.console(id, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const terminal = await openTerminal(target.path)
  try {
    await work(terminal)
  } finally {
    terminal.close()
  }
}
