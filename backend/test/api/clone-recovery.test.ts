import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { overlayFile } from '../../src/domain/layout.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { checkDisk, readsAs, writeDisk } from '../support/disks.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(180_000)

const run = promisify(execFile)
let lab: TestLab
let teacher: Person
let folders: string[]

beforeEach(async () => {
  folders = [await mkdtemp(join(tmpdir(), 'sandlabx-kill-'))]
  lab = await startTestLab({ dataDir: `${folders[0]}/data`, keep: true })
  await addTestImage(layout(), parts().store, 'empty', {})
  teacher = await lab.person('instructor')
})
afterEach(async () => {
  await lab.close()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

const parts = (of = lab) => of.backend.services.lab!
const layout = (of = lab) => of.backend.services.config.layout
const disk = (id: string, of = lab) => overlayFile(layout(of), id)

async function usedNode(): Promise<{ id: string; name: string }> {
  const name = `n${parts().store.data.nodes.length}`
  const { body } = await teacher.send('POST', '/api/nodes', { name, image: 'empty' })
  await writeDisk(layout(), body.node.id, 7)
  return body.node
}

async function begin(id: string, body: object): Promise<string> {
  const answer = await teacher.send('POST', `/api/nodes/${id}/clone`, body)
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
  return answer.body.operation.id
}

const untilStep = (id: string, step: string) =>
  untilSeen(step, async () => parts().operations.get(id)?.step.startsWith(step), 60_000)

/** A backend over a copy of what is on the disk at this moment: what a kill would have left to the next one. */
async function afterKill(): Promise<TestLab> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-killed-'))
  folders.push(folder)
  await run('cp', ['-a', '--sparse=always', lab.dataDir, `${folder}/data`])
  return startTestLab({ dataDir: `${folder}/data`, keep: true })
}

async function expectTidy(of: TestLab): Promise<void> {
  const names = await readdir(layout(of).overlays)
  expect(names.filter((name) => name.endsWith('.tmp') || name.endsWith('.part'))).toEqual([])
  expect(names.filter((name) => /^layer_.*\.qcow2$/.test(name)).toSorted()).toEqual(
    parts(of)
      .store.data.layers.map(({ file }) => file)
      .toSorted(),
  )
  expect(await readdir(`${layout(of).overlays}/.staging`).catch(() => [])).toEqual([])
  expect(await readdir(`${layout(of).state}/journal`)).toEqual([])
}

describe('a backend that is killed while it clones', () => {
  it('takes back a linked clone: the source has its disk again, whole', async () => {
    const source = await usedNode()
    const release = lab.engine.hold('ensureNode')
    const operation = await begin(source.id, { name: 'clone' })
    await untilStep(operation, 'Making the disks')
    const next = await afterKill()
    try {
      expect(parts(next).transactions.recovery).toMatchObject({ undone: [`Clone ${source.name} to clone`], failed: [] })
      expect(parts(next).store.data.nodes.map(({ name }) => name)).toEqual([source.name])
      expect(parts(next).store.data.nodes[0]?.backing).toEqual({ kind: 'image' })
      expect((await stat(disk(source.id, next))).mode & 0o777).toBe(0o600)
      expect(await readsAs(disk(source.id, next), 7)).toBe(true)
      expect(parts(next).nodes.get(source.id).status).toBe('stopped')
      await expectTidy(next)
    } finally {
      await next.close()
      release()
    }
  })

  it('finishes one that was committed: what it replaces goes to the trash', async () => {
    const [source, old] = [await usedNode(), await usedNode()]
    const release = lab.engine.hold('remove')
    const operation = await begin(source.id, { name: old.name, force: true })
    await untilStep(operation, 'Moving what is replaced')
    const next = await afterKill()
    try {
      expect(parts(next).transactions.recovery).toMatchObject({ finished: [`Clone ${source.name} to ${old.name}`] })
      const records = parts(next).store.data.nodes
      expect(records.map(({ name }) => name)).toEqual([source.name, old.name])
      expect(records.map(({ id }) => id)).not.toContain(old.id)
      const trash = await readdir(`${layout(next).overlays}/.trash`)
      expect(trash).toEqual([expect.stringContaining(old.id)])
      for (const { id } of records) expect(await readsAs(disk(id, next), 7)).toBe(true)
      await expectTidy(next)
    } finally {
      await next.close()
      release()
    }
  })

  it('goes on with a full clone where it was interrupted', async () => {
    const source = await bigNode()
    const operation = await begin(source, { name: 'copy', full: true })
    await untilSeen('the first bytes', async () => (parts().operations.get(operation)?.bytesDone ?? 0) > 0, 60_000)
    await lab.backend.close()
    const next = await startTestLab({ dataDir: lab.dataDir, keep: true })
    try {
      expect(parts(next).transactions.recovery?.resumed).toEqual(['Clone big to copy'])
      const ended = await untilSeen(
        'its end',
        async () => {
          const found = parts(next).operations.get(operation)
          return found?.state !== 'running' && found
        },
        60_000,
      )
      expect(ended.state).toBe('succeeded')
      expect(ended.log.map(({ text }) => text).join('\n')).toMatch(/Went on after \d+ bytes/)
      const made = ended.items[0]!.id!
      for (let at = 0; at < 256; at += 85) expect(await readsAs(disk(made, next), 8, at)).toBe(true)
      await checkDisk(disk(made, next))
      expect(parts(next).nodes.get(made)).toMatchObject({ name: 'copy', status: 'stopped' })
      await expectTidy(next)
    } finally {
      await next.close()
    }
  })
})

/** Enough to be interrupted in the middle. */
async function bigNode(): Promise<string> {
  const { body } = await teacher.send('POST', '/api/nodes', { name: 'big', image: 'empty', diskBytes: 512 * 1024 ** 2 })
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write -q -P 8 0 256M', disk(body.node.id)])
  return body.node.id
}
