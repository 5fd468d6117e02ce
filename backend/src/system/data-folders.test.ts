import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { layoutOf } from '../domain/layout.js'
import { openDataFolders } from './data-folders.js'

describe('the data folders', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-folders-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('are made', async () => {
    const layout = layoutOf(join(folder, 'lab'))
    await openDataFolders(layout, [])
    expect((await stat(layout.overlays)).isDirectory()).toBe(true)
    expect((await stat(layout.state)).mode & 0o777).toBe(0o700)
  })

  it('are refused before anything is made when one of them would be lost with the container', async () => {
    const layout = layoutOf(join(folder, 'other'))
    const opening = openDataFolders(layout, ['/', layout.overlays])
    await expect(opening).rejects.toMatchObject({
      code: 'bad_config',
      message: expect.stringContaining(`${layout.overlays} is not mounted`),
      hint: expect.stringContaining('docker-compose.yml'),
    })
    await expect(stat(join(folder, 'other'))).rejects.toThrow('ENOENT')
  })

  it('are refused with the reason when one is read-only', async () => {
    const layout = { ...layoutOf(join(folder, 'third')), images: '/proc/sys/kernel' }
    await expect(openDataFolders(layout, [])).rejects.toMatchObject({ code: 'bad_config' })
  })
})
