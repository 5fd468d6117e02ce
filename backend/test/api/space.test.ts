import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { link, mkdir, writeFile } from 'node:fs/promises'
import { overlayFile, overlayStagingDir, trashDir, type Layout } from '../../src/domain/layout.js'
import type { SpaceReport } from '../../src/domain/storage.js'
import { lookAtSpace } from '../../src/disks/verify/space-report.js'
import { runCommand } from '../../src/system/command.js'
import { writeDisk } from '../support/disks.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

const MIB = 1024 ** 2
jest.setTimeout(60_000)

let lab: TestLab
let layout: Layout
let teacher: Person

beforeAll(async () => {
  lab = await startTestLab()
  layout = lab.backend.services.config.layout
  await addTestImage(layout, lab.backend.services.lab!.store)
  teacher = await lab.person('instructor')
}, 60_000)
afterAll(() => lab?.close())

/** Past the cache of the route. */
const look = (): Promise<SpaceReport> => lookAtSpace(lab.backend.services.lab!.nodes.context)

async function node(name: string): Promise<string> {
  const { body, status } = await teacher.send('POST', '/api/nodes', { name, image: 'empty' })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body.node.id
}

/** As `du` has it: the bytes of all files, each once. */
/** `owners.json` is of no node: a few kilobytes for the whole lab. */
async function usedBytes(...folders: string[]): Promise<number> {
  const args = [...folders, '-type', 'f', '!', '-name', 'owners.json', '-printf', '%i %b\n']
  const { stdout } = await runCommand('find', args, { timeoutMs: 10_000 })
  const blocks = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
  return [...blocks.values()].reduce((sum, count) => sum + Number(count) * 512, 0)
}

const total = (space: SpaceReport) =>
  [...space.nodes, ...space.images, ...space.snapshots].reduce((sum, { usedBytes: bytes }) => sum + bytes, 0) +
  space.nodes.reduce((sum, { drivesBytes }) => sum + drivesBytes, 0) +
  space.trashBytes +
  space.orphanBytes +
  space.stagingBytes +
  space.recordingsBytes

it('counts each file once, so that the sum is what the folders hold', async () => {
  const source = await node('source')
  await writeDisk(layout, source, 7)
  const { body } = await teacher.send('POST', `/api/nodes/${source}/clone`, { name: 'copy' })
  await untilSeen('the clone', async () => {
    const { operation } = (await teacher.send('GET', `/api/operations/${body.operation.id}`)).body
    return operation.state === 'succeeded'
  })
  await mkdir(`${trashDir(layout)}/some`, { recursive: true })
  await writeFile(`${trashDir(layout)}/some/disk.qcow2`, Buffer.alloc(3 * MIB, 1))
  await writeFile(`${layout.overlays}/stray.raw`, Buffer.alloc(2 * MIB, 1))
  await link(`${layout.overlays}/stray.raw`, `${layout.overlays}/second-name.raw`)
  await mkdir(overlayStagingDir(layout), { recursive: true })
  await writeFile(`${overlayStagingDir(layout)}/half`, Buffer.alloc(MIB, 1))

  const space = await look()
  expect(total(space)).toBe(await usedBytes(layout.overlays, layout.images))
  expect(space.trashBytes).toBe(3 * MIB)
  expect(space.orphanBytes).toBe(2 * MIB)
  expect(space.stagingBytes).toBe(MIB)
  expect(space.images).toEqual([expect.objectContaining({ id: 'empty', nodes: 2 })])
  const [layer] = space.snapshots
  expect(layer).toMatchObject({ nodeName: 'source', name: '', shared: true })
  expect(layer!.usedBytes).toBeGreaterThan(64 * 1024)
  expect(space.nodes.map(({ name }) => name).toSorted()).toEqual(['copy', 'source'])
})

it('says how much more is promised than there is room for', async () => {
  const { nodes, fileSystems, overcommit } = await look()
  const promised = nodes.reduce((sum, { virtualBytes }) => sum + virtualBytes, 0)
  const held = nodes.reduce((sum, { usedBytes: bytes }) => sum + bytes, 0)
  expect(promised).toBe(nodes.length * 16 * MIB)
  expect(overcommit).toBeCloseTo(promised / (held + fileSystems[0]!.freeBytes), 2)
  expect(fileSystems[0]).toMatchObject({ path: layout.overlays, reservedBytes: 0 })
})

it('follows what a guest writes, and answers all who ask within seconds with one look', async () => {
  const id = await node('writer')
  const before = (await look()).nodes.find((one) => one.id === id)!
  const first = await teacher.send('GET', '/api/storage/space')
  await runCommand('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 1 0 4M', overlayFile(layout, id)], {
    timeoutMs: 30_000,
  })
  const after = (await look()).nodes.find((one) => one.id === id)!
  expect(after.usedBytes - before.usedBytes).toBeGreaterThanOrEqual(4 * MIB)
  expect((await teacher.send('GET', '/api/storage/space')).body).toEqual(first.body)
})

it('is for those who look after the disks', async () => {
  const student = await lab.person('student')
  expect((await student.send('GET', '/api/storage/space')).status).toBe(403)
})
