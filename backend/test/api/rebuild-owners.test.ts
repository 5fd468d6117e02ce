import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownersFile } from '../../src/domain/layout.js'
import { readOwners } from '../../src/state/owners.js'
import { rebuildFromSidecars } from '../../src/state/rebuild.js'
import { userIdSchema } from '../../src/domain/ids.js'
import { addTestImage, clientOf, startTestLab, type TestLab } from '../support/lab.js'
import { until } from '../support/until.js'

let dataDir: string | undefined
let open: TestLab[] = []
afterEach(async () => {
  for (const lab of open.splice(0)) await lab.close()
  if (dataDir !== undefined) await rm(dataDir, { recursive: true, force: true })
})

async function start(): Promise<TestLab> {
  dataDir ??= await mkdtemp(join(tmpdir(), 'sandlabx-test-'))
  const lab = await startTestLab({ dataDir, keep: true }) // with a database of its own, which is empty
  open = [...open, lab]
  return lab
}

async function end(lab: TestLab): Promise<void> {
  open = open.filter((one) => one !== lab)
  await lab.close()
}

/** A lab with a node of ann, an administrator's, and another one's; then all volumes are lost, as by `down -v`. */
async function loseVolumes() {
  const first = await start()
  const { layout } = first.backend.services.config
  await addTestImage(layout, first.backend.services.lab!.store)
  const ann = await first.person('student', 'ann')
  const admin = (await first.backend.services.accounts.findByLogin('admin'))!
  const boss = await first.person('administrator', 'boss')
  await boss.send('POST', '/api/nodes', { name: 'hers', image: 'empty', ownerId: ann.id })
  await boss.send('POST', '/api/nodes', { name: 'his', image: 'empty', ownerId: admin.id })
  const knowsAnn = async () => (await readOwners(layout)).some(({ login }) => login === 'ann')
  await until(knowsAnn, () => 'ann is written down')
  const image = JSON.stringify(first.backend.services.lab!.store.data.images[0])
  await end(first)
  await rm(layout.state, { recursive: true })
  return { layout, ann, admin, image }
}

const namesOf = (body: { nodes: { name: string }[] }) => body.nodes.map(({ name }) => name)

describe('a lab whose volumes were lost', () => {
  it('is rebuilt from the records beside the disks, and each account that is made again has its nodes', async () => {
    const { layout, ann, admin } = await loseVolumes()
    const second = await start()
    const local = clientOf(second.url, {
      authorization: `Bearer ${await readFile(`${layout.state}/local-token`, 'utf8')}`,
    })
    expect((await local.send('GET', '/api/nodes')).body.error.code).toBe('safe_mode')
    const rebuilt = await local.send('POST', '/api/system/rebuild')
    expect(rebuilt.body).toMatchObject({ nodes: 2, ownerless: [{ login: 'ann', nodes: 1 }] })
    // The first administrator was made before: it is the one that it was.
    expect((await second.backend.services.accounts.findByLogin('admin'))?.id).toBe(admin.id)
    const back = await second.person('student', 'ann')
    expect(back.id).toBe(ann.id)
    expect(namesOf((await back.send('GET', '/api/nodes')).body)).toEqual(['hers'])
    const other = await second.person('student', 'bob')
    expect(namesOf((await other.send('GET', '/api/nodes')).body)).toEqual([])
  }, 60_000)

  it('gives a node to an account of that login that has another id by now', async () => {
    const { layout } = await loseVolumes()
    const id = userIdSchema.parse('6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a0009')
    const report = await rebuildFromSidecars(layout, [{ id, login: 'ann' }])
    expect(report.ownerless).toEqual([{ login: 'admin', nodes: 1 }])
    const third = await start()
    const owners = third.backend.services.lab!.store.data.nodes.map(({ name, ownerId }) => [name, ownerId])
    expect(owners).toContainEqual(['hers', id])
  }, 60_000)

  it('knows who owned what only from a file that others can not read', async () => {
    const { layout } = await loseVolumes()
    const text = await readFile(ownersFile(layout), 'utf8')
    expect(JSON.parse(text)).toMatchObject({ kind: 'sandlabx-owners' })
    expect(text).not.toMatch(/password|hash/i)
  }, 60_000)
})
