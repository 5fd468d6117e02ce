// A process that changes a data folder for ever. Arguments: data folder, seed, and `rooms`, or `control`: a writer that
// syncs nothing, which a power cut must find out. Prints a line when a change begins and one when it is acknowledged.
import { writeSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { createNodeSchema, batchCreateSchema } from '../../src/domain/node.js'
import type { ChurnFact } from './churn-model.js'
import { randomOf } from './result.js'
import { ACTOR, idOf, openRooms, type Rooms } from './rooms.js'

const [dataDir = '', seed = '1', mode = 'rooms'] = process.argv.slice(2)
const LANES = 3
const NODES_PER_LANE = 4
const random = randomOf(Number(seed))

function say(fact: ChurnFact): void {
  writeSync(1, `${JSON.stringify(fact)}\n`)
}

let changes = 0
let names = 0
const newName = (lane: number) => `lane${lane}-${(names += 1)}`
const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)]

/** One change: these nodes go and those come, at once. */
async function change(gone: string[], made: string[], work: () => Promise<unknown>): Promise<void> {
  const id = (changes += 1)
  say({ kind: 'begins', id, gone, made })
  await work()
  say({ kind: 'done', id })
}

async function lane(rooms: Rooms, number: number): Promise<void> {
  const { nodes, operations } = rooms
  const have: string[] = []
  for (;;) {
    const one = pick(have)
    const luck = random()
    if (one === undefined || (have.length < NODES_PER_LANE && luck < 0.4)) {
      const name = newName(number)
      await change([], [name], () => nodes.create(createNodeSchema.parse({ name, image: 'empty' }), ACTOR))
      have.push(name)
    } else if (have.length < NODES_PER_LANE && luck < 0.5) {
      const made = [newName(number), newName(number)]
      const { name: _name, ...template } = createNodeSchema.parse({ name: 'unused', image: 'empty' })
      const batch = batchCreateSchema.parse({ template, nodes: made.map((name) => ({ name })) })
      await change([], made, async () => operations.ended((await nodes.createMany(batch, ACTOR)).id))
      have.push(...made)
    } else if (luck < 0.7) {
      const name = newName(number)
      await change([one], [name], () => nodes.update(idOf(rooms, one), { name }, ACTOR))
      have.splice(have.indexOf(one), 1, name)
    } else {
      await change([one], [], () => nodes.delete(idOf(rooms, one), luck < 0.9, ACTOR))
      have.splice(have.indexOf(one), 1)
    }
  }
}

/** What lowdb's own writer does: a new file and a rename, no fsync. */
async function control(): Promise<never> {
  for (let number = 1; ; number += 1) {
    say({ kind: 'begins', id: number, gone: [], made: [] })
    await writeFile(`${dataDir}/control.tmp`, JSON.stringify({ number }))
    await rename(`${dataDir}/control.tmp`, `${dataDir}/control.json`)
    say({ kind: 'done', id: number })
  }
}

if (mode === 'control') await control()
const rooms = await openRooms(dataDir)
await Promise.all(Array.from({ length: LANES }, (_, number) => lane(rooms, number)))
