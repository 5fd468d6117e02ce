import { expect, it } from '@jest/globals'
import { tmpdir } from 'node:os'
import { freeSpace, requireSpace } from './space.js'

const room = (freeBytes: number) => async () => ({ freeBytes, totalBytes: 1e12, filesystem: 'ext4' })

it('accepts what fits with a margin of 15 %', async () => {
  await expect(requireSpace({ path: '/', bytes: 1000, what: 'x' }, room(1150))).resolves.toBeUndefined()
})

it('refuses the byte that does not fit, with the figures', async () => {
  const refused = requireSpace({ path: '/data', bytes: 1000, what: 'create web' }, room(1149))
  await expect(refused).rejects.toMatchObject({
    code: 'no_space',
    message: 'Could not create web: it needs 1.1 KiB and 1.1 KiB are free.',
    details: { requiredBytes: 1150, availableBytes: 1149, freeUpBytes: 1 },
  })
})

it('measures a real disk', async () => {
  const space = await freeSpace(tmpdir())
  expect(space.freeBytes).toBeGreaterThan(0)
  expect(space.totalBytes).toBeGreaterThan(space.freeBytes)
  expect(space.filesystem).toMatch(/^[a-z0-9]+$/)
})
