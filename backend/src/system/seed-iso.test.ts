import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { makeSeedIso } from './seed-iso.js'

const seed = { instanceId: 'i-1', hostName: 'web', user: 'ada', passwordHash: '$6$salt$hash', sshKeys: [] }
/** ISO 9660: the primary volume descriptor is sector 16 of 2048 bytes; its label lies at byte 40. */
const LABEL_AT = 16 * 2048 + 40

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-seed-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function bytesOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

describe('makeSeedIso', () => {
  it('writes a volume labelled cidata with both files, for us alone, and leaves nothing else', async () => {
    const path = join(folder, 'a, b.iso')
    await makeSeedIso(path, seed)
    const bytes = await bytesOf(path)
    expect(bytes.toString('latin1', LABEL_AT, LABEL_AT + 6)).toBe('cidata')
    expect(bytes.toString('latin1')).toContain('user-data') // Rock Ridge
    expect(bytes.includes(Buffer.from('user-data', 'utf16le').swap16())).toBe(true) // Joliet
    expect(bytes.toString('latin1')).toContain('hashed_passwd: "$6$salt$hash"')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['a, b.iso'])
  })

  it('replaces an older seed', async () => {
    const path = join(folder, 'seed.iso')
    await writeFile(path, 'old')
    await makeSeedIso(path, { ...seed, hostName: 'new-name' })
    expect((await bytesOf(path)).toString('latin1')).toContain('hostname: "new-name"')
  })

  it('leaves the older seed alone when it fails', async () => {
    const path = join(folder, 'no-such-folder', 'seed.iso')
    await expect(makeSeedIso(path, seed)).rejects.toThrow('ENOENT')
    expect(await readdir(folder)).toEqual([])
  })
})
