import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  publishFile,
  stagingName,
  storageFailure,
  sweepStagingNames,
  UncertainWriteError,
  writeFileDurably,
} from './durable-file.js'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durable-'))
  file = join(folder, 'file.json')
})
afterEach(() => rm(folder, { recursive: true }))

describe('writeFileDurably', () => {
  it('replaces the content and keeps the last file beside it', async () => {
    const keepPrevious = `${file}.prev`
    for (const content of ['one', 'two', 'three']) await writeFileDurably(file, content, { keepPrevious })
    expect(await readFile(file, 'utf8')).toBe('three')
    expect(await readFile(keepPrevious, 'utf8')).toBe('two')
    expect((await readdir(folder)).toSorted()).toEqual(['file.json', 'file.json.prev'])
  })

  it('gives the file the mode that is asked, private by default', async () => {
    await writeFileDurably(file, 'x')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await writeFileDurably(file, 'x', { mode: 0o444 })
    expect((await stat(file)).mode & 0o777).toBe(0o444)
  })

  it('leaves no staging file when the name can not be replaced', async () => {
    await mkdir(join(folder, 'file.json'))
    await expect(writeFileDurably(file, 'x')).rejects.toMatchObject({ code: 'EISDIR' })
    expect(await readdir(folder)).toEqual(['file.json'])
  })
})

describe('publishFile', () => {
  it('moves a staged file to its name', async () => {
    await writeFile(join(folder, 'staged'), 'disk')
    await publishFile(join(folder, 'staged'), file)
    expect(await readdir(folder)).toEqual(['file.json'])
  })

  it('never replaces a file that is there', async () => {
    await writeFile(file, 'old')
    await writeFile(join(folder, 'staged'), 'new')
    await expect(publishFile(join(folder, 'staged'), file)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(await readFile(file, 'utf8')).toBe('old')
    expect(await readFile(join(folder, 'staged'), 'utf8')).toBe('new')
  })
})

const errno = (code: string) => Object.assign(new Error(code), { code })

describe('sweepStagingNames', () => {
  it('removes what a killed writer left, and nothing else', async () => {
    const others = ['.file.json.tmp', '.hidden', 'file.json', 'x.0123456789ab.tmp']
    for (const name of [...others.map((one) => join(folder, one)), stagingName(file)]) await writeFile(name, 'x')
    await sweepStagingNames(folder)
    expect((await readdir(folder)).toSorted()).toEqual(others)
    await sweepStagingNames(join(folder, 'missing'))
  })
})

describe('storageFailure', () => {
  it('tells a full disk from a broken one', () => {
    expect(storageFailure('save it', errno('ENOSPC')).code).toBe('no_space')
    expect(storageFailure('save it', errno('EDQUOT')).code).toBe('no_space')
    expect(storageFailure('save it', errno('EIO'))).toMatchObject({
      code: 'state_io',
      message: 'Could not save it: the disk answered EIO.',
    })
    expect(storageFailure('save it', new UncertainWriteError('f', errno('EIO'))).message).toContain('EIO')
  })
})
