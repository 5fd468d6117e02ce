import { expect, it } from '@jest/globals'
import { tmpdir } from 'node:os'
import { freeSpace, KEPT_FREE_BYTES, measureSpace, requireSpace, reserveSpace } from './space.js'

const room = (freeBytes: number) => async () => ({
  freeBytes: freeBytes + KEPT_FREE_BYTES,
  totalBytes: 1e12,
  filesystem: 'ext4',
})

it('accepts what fits with a margin of 15 % beside what is kept free', async () => {
  await expect(requireSpace({ path: '/', bytes: 1000, what: 'x' }, room(1150))).resolves.toBeUndefined()
})

it('refuses the byte that does not fit, with the three figures', async () => {
  const refused = requireSpace({ path: '/', bytes: 1000, what: 'create web' }, room(1149))
  await expect(refused).rejects.toMatchObject({
    code: 'no_space',
    message: 'Could not create web: it needs 1.1 KiB (with a margin of 15 %), and 1.1 KiB are available.',
    hint: 'Free at least 1 B on the disk of /, then try again.',
    details: { requiredBytes: 1150, availableBytes: 1149, freeUpBytes: 1 },
  })
})

it('counts what running operations have reserved, and only while they run', async () => {
  const need = { path: '/', bytes: 1000 }
  const look = room(2000)
  await reserveSpace(
    [need],
    'make one',
    async () => {
      const [seen] = await measureSpace([need], look)
      expect(seen).toMatchObject({ reservedBytes: 1150, availableBytes: 850, freeUpBytes: 300 })
      await expect(reserveSpace([need], 'make two', async () => 'never', look)).rejects.toMatchObject({
        code: 'no_space',
        message: expect.stringContaining('reserved by running operations'),
      })
    },
    look,
  )
  expect(await reserveSpace([need], 'make two', async () => 'done', look)).toBe('done')
})

it('gives the room of a failed operation back', async () => {
  const need = { path: '/', bytes: 1000 }
  await expect(reserveSpace([need], 'x', () => Promise.reject(new Error('boom')), room(1150))).rejects.toThrow('boom')
  expect((await measureSpace([need], room(1150)))[0]).toMatchObject({ reservedBytes: 0, freeUpBytes: 0 })
})

it('measures a real disk', async () => {
  const space = await freeSpace(tmpdir())
  expect(space.freeBytes).toBeGreaterThan(0)
  expect(space.totalBytes).toBeGreaterThan(space.freeBytes)
  expect(space.filesystem).toMatch(/^[a-z0-9]+$/)
})
