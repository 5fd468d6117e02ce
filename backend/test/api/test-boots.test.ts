import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeId } from '../../src/domain/ids.js'
import { EngineError } from '../../src/hosts/engine.js'
import { writeDisk } from '../support/disks.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

let lab: TestLab
let teacher: Person
let student: Person
let serial = 0
beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  teacher = await lab.person('administrator')
  student = await lab.person('student')
}, 60_000)
afterAll(() => lab?.close())

const overlays = () => lab.backend.services.config.layout.overlays

async function newNode(who = teacher): Promise<{ id: NodeId; name: string }> {
  const { body } = await who.send('POST', '/api/nodes', { name: `tried-${(serial += 1)}`, image: 'empty' })
  await writeDisk(lab.backend.services.config.layout, body.node.id, 7)
  return body.node
}

async function booted(body: object, who = teacher) {
  const answer = await who.send('POST', '/api/test-boots', { timeoutSeconds: 5, ...body })
  expect(answer).toMatchObject({ status: 202 })
  const { id } = answer.body.operation
  await untilSeen('the end of the test boot', async () => {
    const { operation } = (await who.send('GET', `/api/operations/${id}`)).body
    return operation.state !== 'running'
  })
  return (await who.send('GET', `/api/test-boots/${id}`)).body.report
}

/** Files with their content, and everything that the engine knows of. */
async function everything() {
  const names = (await readdir(overlays(), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const files = await Promise.all(
    names.map(async ({ parentPath, name }) => {
      const content = await readFile(join(parentPath, name))
      return `${name} ${createHash('sha256').update(content).digest('hex')}`
    }),
  )
  return { files: files.toSorted(), nodes: lab.backend.services.lab!.store.data.nodes, runs: await runs() }
}

const runs = async () => (await lab.engine.list()).filter(({ phase }) => phase !== 'absent').map(({ id }) => id)

describe('a test boot', () => {
  it("of a node's disk tells that its guest comes up, and leaves nothing: the disk is as it was", async () => {
    const node = await newNode()
    const before = await everything()
    expect(await booted({ nodeId: node.id })).toMatchObject({
      title: node.name,
      state: 'success',
      seen: 'login',
      hasScreenshot: true,
      serialTail: expect.arrayContaining([expect.stringMatching(/login:$/)]),
    })
    expect(await everything()).toEqual(before)
  })

  it('sees a text that was asked for, and keeps the picture', async () => {
    const { id } = await newNode()
    const report = await booted({ nodeId: id, expect: 'Fake Linux' })
    expect(report).toMatchObject({ state: 'success', seen: 'text' })
    const picture = await fetch(`${lab.url}/api/test-boots/${report.operationId}/screenshot`, {
      headers: { authorization: `Bearer ${teacher.token}` },
    })
    expect(picture.headers.get('content-type')).toBe('image/png')
    expect(
      Buffer.from(await picture.arrayBuffer())
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG')
  })

  it('fails when the text does not come, with what was there instead, and leaves nothing', async () => {
    const { id } = await newNode()
    const before = await everything()
    expect(await booted({ nodeId: id, expect: 'no such text' })).toMatchObject({
      state: 'failure',
      seen: null,
      message: expect.stringContaining('within 5 s'),
      serialTail: expect.arrayContaining([expect.stringMatching(/login:$/)]),
    })
    expect(await everything()).toEqual(before)
  })

  it('fails when its QEMU can not be started, and says why', async () => {
    const { id } = await newNode()
    const before = await everything()
    lab.engine.failNext('start', new EngineError('no-capacity', 'There is no memory left.'))
    expect(await booted({ nodeId: id })).toMatchObject({
      state: 'failure',
      message: 'QEMU could not be started: There is no memory left.',
    })
    expect(await everything()).toEqual(before)
  })

  it('is pending while it runs; nobody starts its node meanwhile; cancelled, it leaves nothing', async () => {
    const { id } = await newNode()
    const before = await everything()
    const { body } = await teacher.send('POST', '/api/test-boots', { nodeId: id, expect: 'never', timeoutSeconds: 600 })
    const operationId = body.operation.id
    await untilSeen('that it boots', async () => (await runs()).length > before.runs.length)
    expect((await teacher.send('GET', `/api/test-boots/${operationId}`)).body.report.state).toBe('pending')
    const start = await teacher.send('POST', `/api/nodes/${id}/start`)
    expect([start.status, start.body.error.code]).toEqual([409, 'busy'])
    await teacher.send('POST', `/api/operations/${operationId}/cancel`)
    await untilSeen('its end', async () => {
      const { operation } = (await teacher.send('GET', `/api/operations/${operationId}`)).body
      return operation.state === 'cancelled'
    })
    expect((await teacher.send('GET', `/api/test-boots/${operationId}`)).body.report.state).toBe('failure')
    expect(await everything()).toEqual(before)
  })

  it('of an orphan boots what its record tells', async () => {
    const { id, name } = await newNode()
    expect((await teacher.send('DELETE', `/api/nodes/${id}`)).status).toBe(204)
    expect(await booted({ path: `/overlays/node_${id}.qcow2` })).toMatchObject({ state: 'success', seen: 'login' })
    const { orphans } = (await teacher.send('GET', '/api/storage/orphans')).body
    expect(orphans.map(({ formerly }: { formerly: { nodeName: string } }) => formerly.nodeName)).toContain(name)
    expect(JSON.stringify(orphans)).not.toContain('ephemeral')
  })

  it('is refused of a node that runs, with what to do instead', async () => {
    const { id } = await newNode()
    await teacher.send('POST', `/api/nodes/${id}/start`)
    const refused = await teacher.send('POST', '/api/test-boots', { nodeId: id })
    expect([refused.status, refused.body.error.code]).toEqual([409, 'wrong_status'])
    expect(refused.body.error.hint).toContain('snapshot')
    await teacher.send('POST', `/api/nodes/${id}/stop`, { now: true })
  })

  it.each([
    ['what there is not', { path: '/overlays/none.qcow2' }, 404],
    ['what is outside', { path: '/etc/passwd' }, 404],
    ['two things at once', { path: '/overlays/none.qcow2', nodeId: '11111111-2222-4333-8444-555555555555' }, 400],
  ])('is refused of %s', async (_, body, status) => {
    expect((await teacher.send('POST', '/api/test-boots', body)).status).toBe(status)
  })

  it("of another's node is as if there were none, and its report, too", async () => {
    const { id } = await newNode()
    expect((await student.send('POST', '/api/test-boots', { nodeId: id })).status).toBe(404)
    const report = await booted({ nodeId: id })
    expect((await student.send('GET', `/api/test-boots/${report.operationId}`)).status).toBe(404)
    expect((await student.send('GET', '/api/test-boots')).body.reports).toEqual([])
  })
})
