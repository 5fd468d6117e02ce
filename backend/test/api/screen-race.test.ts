import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { addTestImage, startTestLab, type TestLab } from '../support/lab.js'

let lab: TestLab

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
}, 60_000)
afterAll(() => lab?.close())

it('answers all who ask for one screen at the same moment, and leaves one picture', async () => {
  const student = await lab.person('student')
  const made = await student.send('POST', '/api/nodes', { name: 'looked-at', image: 'empty', start: true })
  const path = `/api/nodes/${made.body.node.id}/screenshot`
  const answers = await Promise.all(Array.from({ length: 20 }, () => student.send('GET', path)))
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
  expect(await readdir(`${lab.backend.services.config.layout.state}/screens`)).toHaveLength(1)
})
