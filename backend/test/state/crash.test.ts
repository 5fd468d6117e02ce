import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ERROR_CODES, type ErrorCode } from '../../src/domain/error.js'
import { layoutOf, type Layout } from '../../src/domain/layout.js'
import { openStore } from '../../src/state/store.js'
import { createLog } from '../../src/system/log.js'
import { nodeRecord } from './fixtures/records.js'
import { endStoreProcesses, startStoreProcess } from './fixtures/processes.js'

const log = createLog('silent')
const exitOf = (code: ErrorCode): number => ERROR_CODES[code].exit

// Real files and processes on a machine that may be busy.
jest.setTimeout(120_000)

let dataDir: string
let layout: Layout
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'crash-'))
  layout = layoutOf(dataDir)
})
afterEach(async () => {
  endStoreProcesses()
  await rm(dataDir, { recursive: true })
})

/** Name, inode, times and content of everything in the folder. */
async function everythingIn(folder: string) {
  const names = (await readdir(folder)).toSorted()
  const files = names.map(async (name) => {
    const { ino, mtimeMs, ctimeMs, size } = await stat(join(folder, name))
    return { name, ino, mtimeMs, ctimeMs, size, content: await readFile(join(folder, name), 'utf8') }
  })
  return { folder: (await stat(folder)).mtimeMs, files: await Promise.all(files) }
}

/** Opens what a process left, as the next backend does. */
async function look() {
  const { store, loadedFrom, warning } = await openStore({ layout, log })
  const numbers = store.data.nodes.map((node) => Number(node.name.slice('node-'.length)))
  const { nodes } = store.data
  await store.close()
  const left = (await readdir(layout.state)).toSorted()
  return { numbers, nodes, loadedFrom, warning, left }
}

describe('two processes on one state', () => {
  it('ends the second with exit code 75, naming the first, before it touches anything', async () => {
    const first = startStoreProcess([dataDir, 'hold'])
    await first.says((fact) => fact === 'open')
    const before = await everythingIn(layout.state)
    const second = startStoreProcess([dataDir, 'few-changes', '1'])
    expect(await second.ended).toBe(exitOf('state_locked'))
    expect(exitOf('state_locked')).toBe(75)
    expect(second.facts).toEqual([
      expect.objectContaining({ code: 'state_locked', details: expect.objectContaining({ pid: first.child.pid }) }),
    ])
    expect(await everythingIn(layout.state)).toEqual(before)
    first.child.stdin?.end()
    expect(await first.ended).toBe(0)
  })

  it('frees the lock when the first is killed, also while a child of it lives on', async () => {
    const first = startStoreProcess([dataDir, 'hold-with-child'])
    const { child } = (await first.says((fact) => fact instanceof Object && 'child' in fact)) as { child: number }
    try {
      first.child.kill('SIGKILL')
      expect(await first.ended).toBe('SIGKILL')
      expect(process.kill(child, 0)).toBe(true)
      expect((await look()).loadedFrom).toBe('current')
    } finally {
      process.kill(child)
    }
  })
})

describe('a backend that is killed', () => {
  it('has kept every acknowledged change, over 32 kills in a loop of changes', async () => {
    const acknowledged = new Set<number>()
    let next = 0
    for (let kill = 0; kill < 32; kill += 1) {
      const writer = startStoreProcess([dataDir, 'changes', String(next)])
      const enough = 1 + ((kill * 7) % 23)
      await writer.says(() => writer.facts.length >= enough)
      // A different point of the write each time: the delay walks through the few milliseconds of a commit.
      await new Promise((resolve) => setTimeout(resolve, (kill % 8) * 0.7))
      writer.child.kill('SIGKILL')
      expect(await writer.ended).toBe('SIGKILL')
      for (const number of writer.facts) acknowledged.add(Number(number))

      const found = await look()
      expect(found).toMatchObject({ loadedFrom: 'current', warning: null })
      expect(found.numbers).toEqual(expect.arrayContaining([...acknowledged]))
      expect(new Set(found.numbers).size).toBe(found.numbers.length)
      expect(found.nodes).toEqual(found.numbers.map((number) => nodeRecord(number)))
      expect(found.left).toEqual(['lock', 'nodes-state.json', 'nodes-state.json.prev'])
      next = Math.max(...found.numbers)
    }
    expect(acknowledged.size).toBeGreaterThan(32)
  }, 180_000)

  it('has kept every acknowledged change when it dies at any call of a commit', async () => {
    const seed = startStoreProcess([dataDir, 'few-changes', '2'])
    expect(await seed.ended).toBe(0)
    const seeded = await readFile(layout.stateFile)
    // One pool thread makes a commit's calls in order, and strace counts them by thread: two commits, call by call.
    const points = Object.entries({ fsync: 4, link: 2, rename: 4 }).flatMap(([call, count]) =>
      Array.from({ length: count }, (_, index) => ({ call, nth: index + 1 })),
    )
    for (const { call, nth } of points) {
      await writeFile(layout.stateFile, seeded)
      const writer = startStoreProcess([dataDir, 'changes', '2'], {
        wrapper: [
          'strace',
          '-f',
          '-qqq',
          '-o',
          '/dev/null',
          '-e',
          `trace=${call}`,
          '-e',
          `inject=${call}:signal=KILL:when=${nth}`,
        ],
        env: { UV_THREADPOOL_SIZE: '1' },
      })
      expect([call, nth, await writer.ended]).toEqual([call, nth, 'SIGKILL'])
      const found = await look()
      expect(found).toMatchObject({ loadedFrom: 'current', warning: null })
      expect(found.numbers).toEqual(expect.arrayContaining([1, 2, ...writer.facts.map(Number)]))
      expect(found.nodes).toEqual(found.numbers.map((number) => nodeRecord(number)))
      expect(found.left).toEqual(['lock', 'nodes-state.json', 'nodes-state.json.prev'])
    }
  }, 180_000)
})

describe('a disk that fails', () => {
  it('says no_space when it is full, changes nothing, and saves again when there is room', async () => {
    // A file system of 1 MiB that only this process sees, and that is gone with it.
    const root = process.getuid?.() === 0
    const inNamespace = ['unshare', '--mount', ...(root ? [] : ['--user', '--map-root-user'])]
    const mounted = `mount -t tmpfs -o size=1m tmpfs '${dataDir}' && exec "$@"`
    const writer = startStoreProcess([dataDir, 'fill-disk'], { wrapper: [...inNamespace, 'sh', '-c', mounted, 'sh'] })
    expect([await writer.ended, writer.stderr()]).toEqual([0, ''])
    const one = { revision: 1, nodes: 1 }
    expect(writer.facts).toEqual([
      { step: 'room', outcome: 'saved', memory: one, disk: one },
      { step: 'filled', outcome: expect.stringContaining('ENOSPC') },
      { step: 'full', outcomes: ['no_space', 'no_space', 'no_space'], memory: one, disk: one },
      { step: 'room again', outcome: 'saved', memory: { revision: 2, nodes: 2 }, disk: { revision: 2, nodes: 2 } },
    ])
    expect(ERROR_CODES.no_space.status).toBe(507)
  })

  it.each([
    ['fsync', 'EIO', 1, 'the file'],
    ['fsync', 'EIO', 2, 'the folder, after the rename'],
    ['fsync', 'ENOSPC', 2, 'the folder, after the rename'],
    ['rename', 'EIO', 2, 'the name'],
  ])('only reads after %s answered %s (call %i: %s), until the next start', async (call, errno, nth) => {
    const facts = await failing(call, errno, nth)
    expect(facts).toEqual([
      { number: 1, outcome: 'state_io', fault: 'state_io', nodes: 0 },
      { number: 2, outcome: 'state_io', fault: 'state_io', nodes: 0 },
      { number: 3, outcome: 'state_io', fault: 'state_io', nodes: 0 },
    ])
    // Neither lost nor half: the change that was not acknowledged is there whole, or not at all.
    const found = await look()
    expect(found.loadedFrom).toBe('current')
    expect([[], [nodeRecord(1)]]).toContainEqual(found.nodes)
  })

  it.each([
    ['fsync', 'ENOSPC', 1, 'no_space'],
    ['fsync', 'EDQUOT', 1, 'no_space'],
    ['link', 'ENOSPC', 1, 'no_space'],
    ['rename', 'EROFS', 2, 'state_io'],
  ])('refuses one change after %s answered %s (call %i), and saves the next', async (call, errno, nth, code) => {
    expect(await failing(call, errno, nth)).toEqual([
      { number: 1, outcome: code, fault: null, nodes: 0 },
      { number: 2, outcome: 'saved', fault: null, nodes: 1 },
      { number: 3, outcome: 'saved', fault: null, nodes: 2 },
    ])
    expect(await look()).toMatchObject({ numbers: [2, 3], left: ['lock', 'nodes-state.json', 'nodes-state.json.prev'] })
  })

  /** Three changes, of which the first meets the fault: strace makes the nth such call of a file thread fail. */
  async function failing(call: string, errno: string, nth: number): Promise<unknown[]> {
    const seed = startStoreProcess([dataDir, 'few-changes', '0'])
    expect(await seed.ended).toBe(0)
    const writer = startStoreProcess([dataDir, 'few-changes', '3'], {
      wrapper: [
        'strace',
        '-f',
        '-qqq',
        '-o',
        '/dev/null',
        '-e',
        `trace=${call}`,
        '-e',
        `inject=${call}:error=${errno}:when=${nth}`,
      ],
      env: { UV_THREADPOOL_SIZE: '1' },
    })
    expect([await writer.ended, writer.stderr()]).toEqual([0, ''])
    return writer.facts
  }
})
