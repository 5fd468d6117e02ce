import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { layoutOf } from '../src/domain/layout.js'
import { openStore, type Store } from '../src/state/store.js'
import { createLog } from '../src/system/log.js'
import { nodeRecord, uuidOf } from '../test/state/fixtures/records.js'
import { median, timed, type Bench } from './bench.js'

const NODES = 10_000
const CHANGES = 500
const ROUNDS = 10

export const benches: Bench[] = [
  {
    name: 'load: a commit at 10,000 nodes with 500 concurrent changes, p99',
    goal: 250,
    unit: 'ms',
    run: async () => (await underLoad()).commit,
  },
  {
    name: 'load: event-loop delay meanwhile, p99',
    goal: 50,
    unit: 'ms',
    run: async () => (await underLoad()).delay,
  },
]

let measured: ReturnType<typeof measure> | undefined
/** Both claims are about the same minute. */
const underLoad = () => (measured ??= measure())

async function measure() {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-bench-'))
  const { store } = await openStore({ layout: layoutOf(dataDir), log: createLog('silent') })
  try {
    await store.change((draft) => void draft.nodes.push(...Array.from({ length: NODES }, (_, i) => nodeRecord(i))))
    await concurrently(store, 0) // warm
    const delay = monitorEventLoopDelay({ resolution: 5 })
    const times: number[] = []
    delay.enable()
    for (let round = 1; round <= ROUNDS; round += 1) times.push(...(await concurrently(store, round)))
    delay.disable()
    const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN
    const loopMs = delay.percentile(99) / 1e6
    return {
      commit: { ratio: p99, detail: `median ${median(times).toFixed(0)} ms over ${times.length} changes` },
      delay: { ratio: loopMs, detail: `largest ${(delay.max / 1e6).toFixed(0)} ms` },
    }
  } finally {
    await store.close()
    await rm(dataDir, { recursive: true })
  }
}

/** As the API's requests do: each its own record, each awaited. */
function concurrently(store: Store, round: number): Promise<number[]> {
  return Promise.all(
    Array.from({ length: CHANGES }, (_, i) => {
      const id = uuidOf((round * CHANGES + i * 7) % NODES)
      return timed(() =>
        store.change((draft) => {
          const node = draft.nodes.find((one) => one.id === id)
          if (!node) throw new Error(`no node ${id}`)
          node.generation += 1
        }),
      )
    }),
  )
}
