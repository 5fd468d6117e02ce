import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { addTestImage, type Person, startTestLab, type TestLab } from '../support/lab.js'

jest.setTimeout(60_000)

describe('what a screen is asked for', () => {
  let lab: TestLab
  let student: Person
  let nodeId: string

  beforeAll(async () => {
    lab = await startTestLab({ environment: { SANDLABX_GUACD: 'none' } })
    await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
    student = await lab.person('student')
    const made = await student.send('POST', '/api/nodes', { name: 'desk', image: 'empty', start: true })
    nodeId = made.body.node.id
  }, 60_000)
  afterAll(() => lab?.close())

  it('says when a person wishes for a Guacamole that is not there, and what may be wished for', async () => {
    const path = `/api/nodes/${nodeId}/consoles`
    const wished = await student.send('POST', path, { kind: 'screen', engine: 'guacamole' })
    expect(wished.body).toMatchObject({ engine: 'direct', notice: expect.stringContaining('no Guacamole') })
    expect((await student.send('POST', path, { kind: 'screen' })).body).toMatchObject({
      engine: 'direct',
      notice: null,
    })
    expect((await student.send('POST', path, { kind: 'screen', engine: 'rdp' })).status).toBe(400)
  })

  it('takes a keyboard layout that QEMU knows, and no other', async () => {
    const path = `/api/nodes/${nodeId}`
    const changed = await student.send('PATCH', path, { keyboard: 'de-ch' })
    expect(changed.status).toBe(200)
    expect((await student.send('GET', path)).body.node).toMatchObject({ keyboard: 'de-ch' })
    expect((await student.send('PATCH', path, { keyboard: '../../etc/passwd' })).status).toBe(400)
    expect((await student.send('PATCH', path, { keyboard: 'xx' })).status).toBe(400)
  })
})
