import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { chmod, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../system/command.js'
import { workerIdentity } from '../system/identity.js'
import { copyStandalone } from './standalone-copy.js'

jest.setTimeout(60_000)

const MIB = 1024 ** 2
let folder: string
let files: string[]
const target = () => join(folder, 'staging/copy.qcow2')
const run = async (tool: string, ...args: string[]) =>
  (await runCommand(tool, args, { timeoutMs: 30_000, cwd: folder })).stdout

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'standalone-'))
  await run('qemu-img', 'create', '-q', '-f', 'raw', 'raw', '96M')
  await run('qemu-io', '-f', 'raw', '-c', 'write -q -P 1 0 40M', 'raw')
  // As the import room makes base images: compressed.
  await run('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', 'compression_type=zstd', 'raw', 'base.qcow2')
  await overlay('layer.qcow2', 'base.qcow2', 'write -q -P 2 10M 20M', 'write -q -z 5M 64k')
  await overlay(
    'top.qcow2',
    'layer.qcow2',
    'write -q -P 3 29M 3M',
    'write -q -P 4 100663296 512',
    'write -q -P 5 60M 4k',
  )
  files = ['top.qcow2', 'layer.qcow2', 'base.qcow2'].map((name) => join(folder, name))
  for (const file of files) await chmod(file, 0o444)
})
afterEach(() => rm(folder, { recursive: true }))

/** The disk ends within a cluster. */
async function overlay(name: string, base: string, ...writes: string[]): Promise<void> {
  const form = ['-o', 'cluster_size=128k,extended_l2=on', '-b', base, '-F', 'qcow2']
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', ...form, name, String(96 * MIB + 512))
  await run('qemu-io', ...writes.flatMap((write) => ['-c', write]), name)
}

function copy(options: { signal?: AbortSignal; onBytes?: (done: number, total: number) => void } = {}) {
  return copyStandalone({
    files,
    identity: workerIdentity(),
    virtualSizeBytes: 96 * MIB + 512,
    target: target(),
    signal: options.signal ?? new AbortController().signal,
    onBytes: options.onBytes ?? (() => undefined),
  })
}

async function expectSame(): Promise<void> {
  expect(await run('qemu-img', 'compare', 'top.qcow2', target())).toContain('identical')
  await run('qemu-img', 'check', '-q', '-f', 'qcow2', target())
  expect(JSON.parse(await run('qemu-img', 'info', '--output=json', target()))['backing-filename']).toBeUndefined()
}

describe('a copy of all that a disk stands on', () => {
  it('reads the same, passes the check, needs no other file and tells how far it is', async () => {
    const seen: number[] = []
    let total = 0
    const { sha256, resumedBytes } = await copy({ onBytes: (done, all) => (seen.push(done), (total = all)) })
    await expectSame()
    expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(resumedBytes).toBe(0)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBe(total)
    expect((await stat(target())).size).toBeLessThan(50 * MIB) // holes are not copied
  })

  it('goes on where it was interrupted, once what is there has been looked at', async () => {
    const whole = await copy()
    await rm(target())
    await interrupted(16 * MIB)
    const again = await copy()
    expect(again.resumedBytes).toBeGreaterThanOrEqual(16 * MIB)
    expect(again.sha256).toBe(whole.sha256)
    await expectSame()
  })

  it('copies again from the first place that is no longer what was written', async () => {
    await interrupted(16 * MIB)
    const file = await open(target(), 'r+')
    await file.write(Buffer.from('damage'), 0, 6, 9 * MIB) // in the second segment, behind the maps
    await file.close()
    const again = await copy()
    expect(again.resumedBytes).toBe(8 * MIB)
    await expectSame()
  })

  it('begins anew when what it copies is another disk now', async () => {
    await interrupted(16 * MIB)
    await chmod(join(folder, 'top.qcow2'), 0o644)
    await run('qemu-io', '-c', 'write -q -P 9 50M 64k', 'top.qcow2')
    expect((await copy()).resumedBytes).toBe(0)
    await expectSame()
  })

  it('takes a line of its log that a kill cut off for none', async () => {
    await interrupted(16 * MIB)
    const log = `${target()}.log`
    await truncate(log, (await stat(log)).size - 10)
    const again = await copy()
    expect(again.resumedBytes).toBe(8 * MIB)
    await expectSame()
  })

  it('refuses a file that is no disk, and says which could not be copied', async () => {
    files = [join(folder, 'raw')]
    await chmod(files[0] ?? '', 0o444)
    await expect(copy()).rejects.toMatchObject({ code: 'node_broken' })
  })
})

/** A copy that ends in the middle, after at least so many bytes. */
async function interrupted(bytes: number): Promise<void> {
  const cancel = new AbortController()
  const onBytes = (done: number) => void (done >= bytes && cancel.abort())
  await expect(copy({ signal: cancel.signal, onBytes })).rejects.toMatchObject({ code: 'cancelled' })
  // What was under way beside it is not noted, and may be there or not.
  const lines = (await readFile(`${target()}.log`, 'utf8')).trim().split('\n')
  await writeFile(`${target()}.log`, `${lines.slice(0, 1 + bytes / (8 * MIB)).join('\n')}\n`)
}
