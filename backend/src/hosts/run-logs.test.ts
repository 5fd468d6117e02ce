import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { appendFile, link, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newestLines, readLogTail, rotateLog } from './run-logs.js'

describe('the log of a run', () => {
  let folder: string
  let log: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sbx-logs-'))
    log = join(folder, 'serial.log')
  })
  afterEach(() => rm(folder, { recursive: true }))
  const tail = async (bytes: number) => (await readLogTail(log, bytes)).toString()

  it('is empty when there is none, and else read from its end', async () => {
    expect(await tail(10)).toBe('')
    await writeFile(log, 'abcdef')
    expect(await tail(3)).toBe('def')
    expect(await tail(100)).toBe('abcdef')
  })

  it('is put aside above its limit, and written on by who has it open', async () => {
    const writer = await open(log, 'a')
    await writer.write('first '.repeat(10))
    expect(await rotateLog(log, 100)).toBe(false)
    await writer.write('second '.repeat(10))
    expect(await rotateLog(log, 100)).toBe(true)
    await writer.write('third')
    await writer.close()
    expect(await readFile(log, 'utf8')).toBe('third')
    expect(await tail(12)).toBe('second third')
    expect(await tail(10_000)).toBe('first '.repeat(10) + 'second '.repeat(10) + 'third')
    await appendFile(log, 'x'.repeat(200))
    await rotateLog(log, 100)
    expect((await readdir(folder)).toSorted()).toEqual(['serial.log', 'serial.log.1'])
    expect(await tail(10_000)).toBe(`third${'x'.repeat(200)}`)
  })

  it('is never what QEMU may have put in its place: a link, a pipe, a folder', async () => {
    const secret = join(folder, 'secret')
    await writeFile(secret, 'secret'.repeat(100))
    await symlink(secret, log)
    expect(await tail(100)).toBe('')
    expect(await rotateLog(log, 10)).toBe(false)
    await rm(log)
    await link(secret, log)
    expect(await tail(100)).toBe('')
    await rm(log)
    execFileSync('mkfifo', [log])
    expect(await tail(100)).toBe('')
    expect(await rotateLog(log, 10)).toBe(false)
    await rm(log)
    expect(await readLogTail(folder, 100)).toHaveLength(0)
    expect(await readFile(secret, 'utf8')).toHaveLength(600)
  })

  it('gives its last lines that say something', () => {
    expect(newestLines('a\n\n b \r\nc\n\n', 2)).toBe('b\nc')
    expect(newestLines('', 2)).toBe('')
    expect(newestLines('x'.repeat(5000), 2)).toHaveLength(800)
  })
})
