import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { imageIdSchema } from '../../src/domain/ids.js'
import { layerFile, layoutOf, overlayFile } from '../../src/domain/layout.js'
import type { NodeEngine } from '../../src/hosts/engine.js'
import { chainLength, checkDisk } from '../support/disks.js'
import { addTestImage, type Person } from '../support/lab.js'
import { COUNT_ON_DISK, makeTinyImage, READY } from '../support/tiny-guest.js'
import { untilSeen } from '../support/until.js'
import { numbersOn } from './counting-guest.js'
import { qemusIn } from './process-lab.js'
import { startRealLab, type RealLab } from '../support/real-lab.js'

jest.setTimeout(240_000)

const PATIENCE_MS = 60_000

let dataDir: string
let lab: RealLab
let engine: NodeEngine
let teacher: Person
const layout = () => layoutOf(dataDir)
const state = () => lab.backend.services.lab!.store.data

beforeAll(async () => {
  lab = await startRealLab()
  dataDir = lab.dataDir
  engine = lab.engine
  const { store } = lab.backend.services.lab!
  const blank = await addTestImage(layout(), store, 'blank')
  const tiny = { ...blank, ...(await makeTinyImage(layout(), { sizeMib: 64 })), id: imageIdSchema.parse('tiny-guest') }
  await store.change((draft) => void draft.images.push(tiny))
  teacher = await lab.person('instructor')
}, PATIENCE_MS)

afterAll(async () => {
  for (const pid of qemusIn(dataDir)) process.kill(pid, 'SIGKILL')
  await lab?.close()
})

async function must(method: string, path: string, body?: object) {
  const answer = await teacher.send(method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function well(method: string, path: string, body?: object) {
  const { operation } = await must(method, path, body)
  await lab.backend.services.lab!.operations.ended(operation.id)
}

const snapshotsOf = (id: string) => `/api/nodes/${id}/snapshots`
const named = (id: string, name: string) =>
  state().snapshots.find((snapshot) => snapshot.nodeId === id && snapshot.name === name)!

async function line(id: string): Promise<{ socket: Socket; dots(): number }> {
  const target = await engine.console(id as never, 'serial')
  if (target.via !== 'unix') throw new Error('the console of a process is a unix socket')
  const socket = connect(target.path)
  let dots = 0
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    for (const byte of chunk) dots += byte === 0x2e ? 1 : 0
  })
  return { socket, dots: () => dots }
}

/** A running node whose guest counts on its disk; a dot for each number that the disk has taken. */
async function counting(name: string) {
  const { node } = await must('POST', '/api/nodes', { name, image: 'tiny-guest', memoryMib: 64 })
  await must('POST', `/api/nodes/${node.id}/start`)
  await untilSeen('the guest', async () => (await engine.serialTail(node.id, 1000)).includes(READY), PATIENCE_MS)
  const { socket, dots } = await line(node.id)
  socket.write(COUNT_ON_DISK)
  const goesOn = (more = 20) => {
    const goal = dots() + more
    return untilSeen(`${more} more numbers`, async () => dots() >= goal, PATIENCE_MS)
  }
  await goesOn()
  return { id: node.id as string, dots, goesOn, close: () => socket.destroy() }
}

it('a guest that writes is kept as it was at a moment, merged while it goes on, and restored', async () => {
  const guest = await counting('live')
  const { id } = guest
  const before = guest.dots()
  await well('POST', snapshotsOf(id), { name: 'one' })
  const after = guest.dots()
  await guest.goesOn()
  await well('POST', snapshotsOf(id), { name: 'two' })
  await guest.goesOn()
  const [one] = named(id, 'one').disks
  const kept = await numbersOn(layerFile(layout(), one!.layerId))
  expect(kept).toBeGreaterThanOrEqual(before)
  expect(kept).toBeLessThanOrEqual(after + 1) // one may be written and not yet told

  await well('DELETE', `${snapshotsOf(id)}/${named(id, 'two').id}`)
  await guest.goesOn()
  const written = guest.dots()
  guest.close()
  await must('POST', `/api/nodes/${id}/stop`, { now: true })
  const disk = overlayFile(layout(), id)
  expect(await numbersOn(disk)).toBeGreaterThanOrEqual(written)
  expect(await chainLength(disk)).toBe(3)
  await checkDisk(disk)

  await well('POST', `${snapshotsOf(id)}/${named(id, 'one').id}/restore`, {})
  expect(await numbersOn(disk)).toBe(kept)
  await well('DELETE', `${snapshotsOf(id)}/${named(id, 'one').id}`)
  expect(await numbersOn(disk)).toBe(kept)
  expect([await chainLength(disk), state().nodes.find((node) => node.id === id)?.backing]).toEqual([
    2,
    { kind: 'image' },
  ])
})

it('a guest whose memory was kept goes on in the middle of its counting', async () => {
  const guest = await counting('memory')
  const { id } = guest
  await well('POST', snapshotsOf(id), { name: 'moment', memory: true })
  const { memory, disks } = named(id, 'moment')
  expect(memory!.sizeBytes).toBeGreaterThan(0)
  await guest.goesOn()
  guest.close()
  const kept = await numbersOn(layerFile(layout(), disks[0]!.layerId))

  await well('POST', `${snapshotsOf(id)}/${named(id, 'moment').id}/restore`, { now: true })
  const { events } = state().nodes.find((node) => node.id === id)!
  expect(events[0]!.text).toMatch(/^Went on where it was/)
  const again = await line(id)
  await untilSeen('numbers after the moment', async () => again.dots() >= 20, PATIENCE_MS)
  again.socket.destroy()
  expect((await engine.serialTail(id as never, 100_000)).includes(READY)).toBe(false)
  await must('POST', `/api/nodes/${id}/stop`, { now: true })
  // Ascending without a gap: it had forgotten nothing, and knew of nothing later.
  expect(await numbersOn(overlayFile(layout(), id))).toBeGreaterThan(kept)
})
