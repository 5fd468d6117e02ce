// A process that does one operation on a data folder, and may die at it. Arguments: data folder, operation, and where
// the faults begin: `boot` or `act`. Prints a line per fact, synchronously: what was printed is known to the reader even
// when we are killed in the next instant.
import { readdirSync, readFileSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { isSandlabError } from '../../src/domain/error.js'
import type { DrillFact } from './drill-process.js'
import { openRooms, settled, type Rooms } from './rooms.js'
import { scenarioOf } from './scenarios.js'

const [dataDir = '', name = '', from = 'act'] = process.argv.slice(2)
const scenario = scenarioOf(name)

function say(fact: DrillFact): void {
  writeSync(1, `${JSON.stringify(fact)}\n`)
}

/** With UV_THREADPOOL_SIZE=1 one thread makes all file calls, in order: the one that wakes up for each of these. */
async function fileThread(): Promise<number> {
  const before = wakeUps()
  for (let call = 0; call < 300; call += 1) await stat('/')
  const grown = [...wakeUps()].map(([tid, count]) => ({ tid, count: count - (before.get(tid) ?? 0) }))
  const [busiest] = grown.filter(({ tid }) => tid !== process.pid).toSorted((a, b) => b.count - a.count)
  return busiest?.tid ?? 0
}

function wakeUps(): Map<number, number> {
  return new Map(
    readdirSync('/proc/self/task').map((tid) => {
      const status = readFileSync(`/proc/self/task/${tid}/status`, 'utf8')
      return [Number(tid), Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0)]
    }),
  )
}

const go = new Promise<void>((resolve) => process.stdin.once('data', () => resolve()))

async function outcomeOf(work: Promise<void>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return isSandlabError(error) ? error.code : String(error)
  }
}

/** Tells how it went, then whether memory is what the disk has, then whether it works without a restart. */
async function act(rooms: Rooms): Promise<string> {
  const outcome = await outcomeOf(scenario.act(rooms))
  say({ kind: 'acted', outcome, fault: faultOf(rooms) })
  return outcome
}

/**
 * Once more, in the same process; after a failed fsync it only reads until a restart, by design. When the fault did not
 * meet the first try (what an operation leaves to be saved later shifts the calls), it may meet this one: then again.
 */
async function again(rooms: Rooms, first: string): Promise<void> {
  let outcome = first
  for (let tries = first === 'done' ? 2 : 1; tries > 0 && faultOf(rooms) === null; tries -= 1) {
    outcome = await outcomeOf(repeat(rooms))
    if (outcome === 'done') break
  }
  say({ kind: 'repeated', outcome, fault: faultOf(rooms) })
}

const faultOf = (rooms: Rooms) => rooms.store.fault?.code ?? null

async function repeat(rooms: Rooms): Promise<void> {
  await scenario.ready(rooms)
  await scenario.act(rooms)
}

try {
  const tid = await fileThread()
  if (from === 'boot') {
    say({ kind: 'ready', tid })
    await go
  }
  const rooms = await openRooms(dataDir)
  if (from === 'boot') {
    await settled(rooms)
    say({ kind: 'booted' })
  } else {
    await scenario.ready(rooms)
    say({ kind: 'ready', tid })
    await go
    const outcome = await act(rooms)
    if (from === 'act-again') await again(rooms, outcome)
  }
  await rooms.operations.close()
  say({
    kind: 'memory',
    nodes: rooms.store.data.nodes,
    images: rooms.store.data.images,
    layers: rooms.store.data.layers,
  })
  await rooms.close()
  process.exit(0)
} catch (error) {
  say({ kind: 'ended', error: isSandlabError(error) ? error.code : String(error) })
  process.exit(1)
}
