import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { imageFile, overlayFile, sidecarFile } from '../../src/domain/layout.js'
import { EngineError } from '../../src/hosts/engine.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { untilSeen } from '../support/until.js'

let lab: TestLab
let instructor: Person
const layout = () => lab.backend.services.config.layout

beforeAll(async () => {
  lab = await startTestLab({ environment: { SANDLABX_MEMORY_OVERCOMMIT: '1' } })
  await addTestImage(layout(), lab.backend.services.lab!.store)
  instructor = await lab.person('instructor')
}, 60_000)
afterAll(() => lab?.close())

let count = 0
async function newNode(extra: Record<string, unknown> = {}) {
  const answer = await instructor.send('POST', '/api/nodes', { name: `node-${(count += 1)}`, image: 'empty', ...extra })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.node
}
const act = (id: string, action: string, body?: unknown) => instructor.send('POST', `/api/nodes/${id}/${action}`, body)
const show = async (id: string) => (await instructor.send('GET', `/api/nodes/${id}`)).body.node

describe('a node over the API', () => {
  it('is created with its disk and its record beside it, and has every promised field', async () => {
    const node = await newNode({ memoryMib: 128 })
    expect(node).toMatchObject({
      status: 'stopped',
      desired: 'stopped',
      image: 'empty',
      cpus: 1,
      memoryMib: 128,
      ownerId: instructor.id,
    })
    expect(node.overlayPath).toBe(`/overlays/node_${node.id}.qcow2`)
    expect(node.mac).toMatch(/^52:54:00|^02:/)
    expect((await stat(overlayFile(layout(), node.id))).isFile()).toBe(true)
    const sidecar = JSON.parse(await readFile(sidecarFile(layout(), node.id), 'utf8'))
    expect(JSON.stringify(sidecar)).toContain(node.name)
    expect((await instructor.send('GET', '/api/nodes')).body.nodes.map((n: { id: string }) => n.id)).toContain(node.id)
  })

  it('starts, restarts and stops, and its history says so', async () => {
    const node = await newNode()
    expect((await act(node.id, 'start')).body.node.status).toBe('running')
    expect((await act(node.id, 'restart')).status).toBe(200)
    expect((await act(node.id, 'stop', {})).body.node).toMatchObject({ status: 'stopped', desired: 'stopped' })
    const { events } = (await instructor.send('GET', `/api/nodes/${node.id}/events`)).body
    expect(events.map((event: { kind: string }) => event.kind)).toEqual(['stopped', 'started', 'started', 'created'])
  })

  it('refuses what its status does not allow, with the reason', async () => {
    const node = await newNode()
    expect((await act(node.id, 'stop', {})).body.error).toMatchObject({ code: 'wrong_status' })
    await act(node.id, 'start')
    const refused = await instructor.send('DELETE', `/api/nodes/${node.id}`)
    expect(refused.status).toBe(409)
    expect(refused.body.error.message).toContain('Stop it first.')
    expect((await instructor.send('PATCH', `/api/nodes/${node.id}`, { cpus: 2 })).status).toBe(409)
    expect((await show(node.id)).actions.changeResources).toContain('Stop it first.')
  })

  it('50 racing starts make one start', async () => {
    const node = await newNode()
    const before = lab.engine.startsOf(node.id)
    const answers = await Promise.all(Array.from({ length: 50 }, () => act(node.id, 'start')))
    expect(lab.engine.startsOf(node.id) - before).toBe(1)
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true)
    expect((await show(node.id)).status).toBe('running')
    await act(node.id, 'stop', { now: true })
  })

  it('keeps names unique for one owner, also in a race', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => instructor.send('POST', '/api/nodes', { name: 'twin', image: 'empty' })),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ])
    const other = await lab.person('student')
    expect((await other.send('POST', '/api/nodes', { name: 'twin', image: 'empty' })).status).toBe(201)
  })

  it("has a port for the guest's agent when its image carries one, when told, and from a stop on when changed", async () => {
    await addTestImage(layout(), lab.backend.services.lab!.store, 'with-agent', { guestAgent: true })
    const made = [{}, { agent: true }, { image: 'with-agent' }, { image: 'with-agent', agent: false }].map(newNode)
    const [node, ...others] = await Promise.all(made)
    expect([node, ...others].map(({ agent }) => agent)).toEqual([false, true, true, false])
    await act(node.id, 'start')
    const refused = await instructor.send('PATCH', `/api/nodes/${node.id}`, { agent: true })
    expect([refused.status, refused.body.error.code]).toEqual([409, 'wrong_status'])
    expect(refused.body.error.message).toContain('guest agent')
    expect(lab.engine.specOf(node.id)?.agent).toBe(false)
    await act(node.id, 'stop', { now: true })
    expect((await instructor.send('PATCH', `/api/nodes/${node.id}`, { agent: true })).body.node.agent).toBe(true)
    await act(node.id, 'start')
    expect(lab.engine.specOf(node.id)?.agent).toBe(true)
    await act(node.id, 'stop', { now: true })
    const clone = { name: `${node.name}-clone` }
    expect((await act(node.id, 'clone', clone)).status).toBe(202)
    const cloned = () => lab.backend.services.lab!.store.data.nodes.find(({ name }) => name === clone.name)
    await untilSeen('the clone', async () => cloned())
    expect(cloned()?.agent).toBe(true)
  })

  it('changes name at any time, CPUs and memory when stopped', async () => {
    const node = await newNode()
    const changed = await instructor.send('PATCH', `/api/nodes/${node.id}`, {
      name: `${node.name}-b`,
      cpus: 2,
      memoryMib: 256,
    })
    expect(changed.body.node).toMatchObject({
      name: `${node.name}-b`,
      cpus: 2,
      memoryMib: 256,
      mac: node.mac,
      id: node.id,
    })
    expect(await readFile(sidecarFile(layout(), node.id), 'utf8')).toContain(`${node.name}-b`)
  })

  it('a crash is told with its reason, and the node can be started again', async () => {
    const node = await newNode()
    await act(node.id, 'start')
    lab.engine.crash(node.id, 'killed by signal 9')
    const seen = await show(node.id)
    expect(seen.status).toBe('crashed')
    expect(seen.statusReason).toContain('killed by signal 9')
    expect((await act(node.id, 'start')).body.node.status).toBe('running')
    await act(node.id, 'stop', { now: true })
  })

  it('a node that paused, say for a full disk, says why and goes on with start', async () => {
    const node = await newNode()
    await act(node.id, 'start')
    lab.engine.pause(node.id, 'The disk of the host is full.')
    expect(await show(node.id)).toMatchObject({ status: 'paused', statusReason: 'The disk of the host is full.' })
    expect((await act(node.id, 'start')).body.node.status).toBe('running')
    expect(lab.engine.startsOf(node.id)).toBe(1)
    await act(node.id, 'stop', { now: true })
  })

  it('a silent host makes it unknown, and nobody acts on it', async () => {
    const node = await newNode()
    await act(node.id, 'start')
    lab.engine.silence(node.id)
    expect((await show(node.id)).status).toBe('unknown')
    expect((await act(node.id, 'start')).status).toBe(409)
    expect((await instructor.send('DELETE', `/api/nodes/${node.id}`)).status).toBe(409)
  })

  it('a start that fails leaves it stopped with the reason in its history', async () => {
    const node = await newNode()
    lab.engine.failNext('start', new EngineError('engine', 'QEMU said no'))
    const failed = await act(node.id, 'start')
    expect(failed.status).toBe(503)
    expect(failed.body.error.message).toContain('QEMU said no')
    expect((await show(node.id)).status).toBe('stopped')
    const { events } = (await instructor.send('GET', `/api/nodes/${node.id}/events`)).body
    expect(events[0]).toMatchObject({ kind: 'warning', text: expect.stringContaining('QEMU said no') })
  })

  it('a create that fails half way leaves nothing', async () => {
    const before = lab.backend.services.lab!.store.data.nodes.length
    lab.engine.failNext('ensureNode', new EngineError('no-space', 'no room'))
    const failed = await instructor.send('POST', '/api/nodes', { name: 'half', image: 'empty' })
    expect(failed.status).toBe(507)
    expect(lab.backend.services.lab!.store.data.nodes.length).toBe(before)
    expect((await instructor.send('POST', '/api/nodes', { name: 'half', image: 'empty' })).status).toBe(201)
  })

  it('refuses a start that does not fit, with the figures and what would fit', async () => {
    const node = await newNode({ memoryMib: 1_000_000 })
    const refused = await act(node.id, 'start')
    expect(refused.status).toBe(507)
    expect(refused.body.error).toMatchObject({ code: 'no_capacity', details: { required: { memoryMib: 1_000_000 } } })
    expect(refused.body.error.message).toMatch(/needs 1000000 MiB of memory, \d+ MiB are left/)
    expect((await show(node.id)).status).toBe('stopped')
  })

  it('delete keeps the storage unless asked; the plan names the files', async () => {
    const kept = await newNode()
    const { plan } = (await instructor.send('DELETE', `/api/nodes/${kept.id}?dryRun=true`)).body
    expect(plan.files).toEqual(
      expect.arrayContaining([expect.objectContaining({ path: kept.overlayPath, fate: 'stays' })]),
    )
    expect((await instructor.send('DELETE', `/api/nodes/${kept.id}`)).status).toBe(204)
    expect((await stat(overlayFile(layout(), kept.id))).isFile()).toBe(true)
    expect((await instructor.send('GET', `/api/nodes/${kept.id}`)).status).toBe(404)
  })

  it('a missing disk makes the node broken and no other', async () => {
    const [bad, good] = [await newNode(), await newNode()]
    await rm(overlayFile(layout(), bad.id))
    const refused = await act(bad.id, 'start')
    expect(refused.status).toBe(422)
    expect(refused.body.error.code).toBe('node_broken')
    expect((await show(bad.id)).status).toBe('broken')
    expect((await act(good.id, 'start')).status).toBe(200)
    await act(good.id, 'stop', { now: true })
  })

  it('a changed base makes the node broken, until the base is back', async () => {
    await addTestImage(layout(), lab.backend.services.lab!.store, 'mutable')
    const node = await newNode({ image: 'mutable' })
    const path = imageFile(layout(), 'mutable.qcow2')
    await rename(path, `${path}.aside`)
    expect((await act(node.id, 'start')).body.error.code).toBe('node_broken')
    await writeFile(path, 'something else')
    expect((await act(node.id, 'start')).body.error.code).toBe('node_broken')
    await rename(`${path}.aside`, path)
    expect((await act(node.id, 'start')).status).toBe(200)
    await act(node.id, 'stop', { now: true })
  })

  it('a base image in use is not deleted, and the refusal names the nodes', async () => {
    const node = await newNode()
    const refused = await instructor.send('DELETE', '/api/images/empty')
    expect(refused.status).toBe(409)
    expect(refused.body.error.code).toBe('image_in_use')
    expect(JSON.stringify(refused.body)).toContain(node.name)
  })

  it('a student has a limit of nodes', async () => {
    const student = await lab.person('student')
    for (let i = 0; i < 10; i += 1) await student.send('POST', '/api/nodes', { name: `q-${i}`, image: 'empty' })
    const refused = await student.send('POST', '/api/nodes', { name: 'q-10', image: 'empty' })
    expect(refused.body.error).toMatchObject({ code: 'quota_reached' })
  })

  it('every change is in the audit log, with who, what, on what, from where and the result', async () => {
    const administrator = await lab.person('administrator')
    const node = await newNode()
    await act(node.id, 'stop', {})
    const { entries } = (await administrator.send('GET', `/api/audit?object=${node.id}`)).body
    expect(entries.map((e: { action: string; result: string }) => [e.action, e.result])).toEqual([
      ['node.stop', 'failure'],
      ['node.create', 'success'],
    ])
    expect(entries[0]).toMatchObject({
      actorLogin: instructor.login,
      objectName: node.name,
      code: 'wrong_status',
      address: expect.stringMatching(/127\.0\.0\.1/),
    })
  })
})
