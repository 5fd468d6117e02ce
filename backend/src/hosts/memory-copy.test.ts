import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyMemory } from './memory-copy.js'

describe('a memory that is copied by a process of its own', () => {
  let folder: string
  const opened: FileHandle[] = []
  const file = async (name: string, flags: string) => {
    const handle = await open(name.startsWith('/') ? name : join(folder, name), flags)
    opened.push(handle)
    return handle
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sbx-copy-'))
  })
  afterEach(async () => {
    for (const handle of opened.splice(0)) await handle.close()
    await rm(folder, { recursive: true, force: true })
  })
  const never = new AbortController().signal

  /** Both ends of a line: what was accepted and not read, and who connected. */
  async function line(): Promise<{ near: Socket; far: Socket; close(): void }> {
    const path = join(folder, 'line')
    const server = createServer({ pauseOnConnect: true }).listen(path)
    const near = new Promise<Socket>((resolve) => server.once('connection', resolve))
    const far = connect(path)
    return { near: await near, far, close: () => void (server.close(), far.destroy()) }
  }

  it('goes from a file, from where it stands, to a socket, and from there behind what a file holds', async () => {
    const content = randomBytes(3 * 1024 ** 2 + 123)
    await writeFile(join(folder, 'from'), content)
    const [from, to] = [await file('from', 'r'), await file('to', 'w')]
    await from.read(Buffer.alloc(100), 0, 100)
    await to.writeFile('before ')
    const { near, far, close } = await line()
    await Promise.all([copyMemory(from.fd, far, never), copyMemory(near, to.fd, never)])
    close()
    expect(
      (await readFile(join(folder, 'to'))).equals(Buffer.concat([Buffer.from('before '), content.subarray(100)])),
    ).toBe(true)
  })

  it('says that the disk is full, and that nobody takes it, for which trying again is no help', async () => {
    await writeFile(join(folder, 'from'), randomBytes(3 * 1024 ** 2))
    const full = await file('/dev/full', 'w')
    await expect(copyMemory((await file('from', 'r')).fd, full.fd, never)).rejects.toMatchObject({ code: 'no-space' })
    const { near, far, close } = await line()
    const refused = copyMemory((await file('from', 'r')).fd, far, never)
    near.destroy()
    await expect(refused).rejects.toMatchObject({ code: 'engine', retry: false })
    close()
  })

  it('ends at once when it is given up, and lets the other side know', async () => {
    const { near, far, close } = await line()
    const gone = new Promise((resolve) => far.once('close', resolve))
    far.on('error', () => undefined).resume() // cut off, not ended
    const abort = new AbortController()
    const copy = copyMemory(near, (await file('to', 'w')).fd, abort.signal)
    far.write('something')
    abort.abort()
    await expect(copy).rejects.toMatchObject({ code: 'engine', retry: true })
    await gone
    close()
  })
})
