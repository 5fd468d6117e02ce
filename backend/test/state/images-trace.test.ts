import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { craftQcow2, HOSTILE_IMAGES } from '../support/hostile-images.js'
import { traceOpens, type Trace } from '../support/opened-paths.js'

jest.setTimeout(120_000)

/** The ones that name other files, servers or devices; the rest are damaged, which opens nothing. */
const REACHING =
  /backing file (by|in json|on|with)|itself as|data file|VMDK|QED|symlink to a host|hard link|FIFO|snapshots|LUKS|bomb|named by every/

let folder: string
let compiled: CompiledSources
let decoy: string
let trace: Trace
let outcomes: Record<string, string>

/** Imports each file given to it in a data folder of its own; a process apart, so that strace sees all it does. */
const RUNNER = `
import { accessSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
const [data, list, results, root] = process.argv.slice(2)
const from = (module) => import(root + '/' + module)
const { layoutOf } = await from('domain/layout.js')
const { createLog } = await from('system/log.js')
const { openStore } = await from('state/store.js')
const { importImage } = await from('images/import-room.js')
const { createBus } = await from('events/bus.js')
const { createOperations } = await from('transactions/operations.js')
const { createTransactions } = await from('transactions/transactions.js')
const layout = layoutOf(data)
for (const path of [layout.images, layout.overlays, layout.state, layout.run]) mkdirSync(path, { recursive: true })
const log = createLog('silent')
const { store } = await openStore({ layout, log })
const bus = createBus()
const transactions = await createTransactions({ layout, store, log, operations: createOperations({ store, bus, log }) })
const images = { layout, store, transactions, bus, log, now: () => new Date() }
const outcomes = {}
try { readFileSync('/sandlabx-trace-begins') } catch {}
let number = 0
for (const [title, path] of JSON.parse(readFileSync(list, 'utf8'))) {
  number += 1
  const about = { id: 'image-' + number, title, description: '', origin: 'imported', version: '1', firmware: 'bios',
    cloudInit: false, loginNotes: '', minimumMemoryMib: 64 }
  try {
    const started = await importImage(images, { source: { path, consume: false }, about }, { id: null, login: 'trace' })
    await started.result
    outcomes[title] = 'imported'
  } catch (error) {
    outcomes[title] = error.code ?? String(error)
  }
}
try { readFileSync('/sandlabx-trace-ends') } catch {}
await store.close()
writeFileSync(results, JSON.stringify(outcomes))
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-trace-'))
  const given = join(folder, 'given')
  await mkdir(given)
  decoy = join(folder, 'decoy')
  await writeFile(decoy, 'a secret of this server\n'.repeat(64))
  const files: [string, string][] = []
  for (const [index, { title, make }] of HOSTILE_IMAGES.filter((image) => REACHING.test(image.title)).entries()) {
    const path = join(given, `suspect-${index}`)
    await make(path, { folder: given, decoy })
    files.push([title, path])
  }
  await writeFile(join(given, 'good'), craftQcow2())
  files.push(['a good file', join(given, 'good')])
  await writeFile(join(folder, 'list.json'), JSON.stringify(files))

  compiled = await compileSources(['domain', 'system', 'state', 'transactions', 'storage', 'images', 'events'])
  const runner = join(folder, 'runner.mjs')
  await writeFile(runner, RUNNER)
  const results = join(folder, 'results.json')
  trace = await traceOpens(
    process.execPath,
    [runner, join(folder, 'data'), join(folder, 'list.json'), results, compiled.path('')],
    folder,
  )
  outcomes = JSON.parse(await readFile(results, 'utf8'))
})
afterAll(async () => {
  await compiled.remove()
  await rm(folder, { recursive: true, force: true })
})

describe('seen by the kernel, the import of hostile files', () => {
  it('refuses each of them and takes the good one', () => {
    expect(Object.keys(outcomes).length).toBeGreaterThan(20)
    const { 'a good file': good, ...hostile } = outcomes
    expect(good).toBe('imported')
    expect(new Set(Object.values(hostile))).toEqual(new Set(['image_refused']))
  })

  it('never opens what they name', () => {
    // The good file comes last; only its conversion looks up the worker in /etc/passwd.
    const opened = between(trace.opened)
    const ofHostile = opened.slice(0, opened.indexOf(join(folder, 'given', 'good')))
    expect(ofHostile.length).toBeGreaterThan(20)
    const secrets = [decoy, '/etc/passwd', '/etc/shadow', '/nowhere']
    expect(ofHostile.filter((path) => secrets.includes(path) || path.endsWith('/secret'))).toEqual([])
    expect(opened).not.toContain(decoy)
  })

  it('opens nothing but the given files, the folders of the data, libraries and the kernel’s own', () => {
    const allowed = [
      join(folder, 'given/'),
      join(folder, 'data/images'),
      join(folder, 'data/state'),
      join(folder, 'list.json'),
      compiled.path(''),
      '/lib/',
      '/lib64/',
      '/usr/lib/',
      '/usr/share/locale',
      '/etc/ld.so',
      '/proc/',
      '/sys/',
      '/dev/null',
      '/dev/urandom',
      '/etc/ssl/openssl.cnf',
      '/usr/lib/ssl',
    ]
    const strange = between(trace.opened).filter(
      (path) => path !== '/etc/passwd' && path !== '.' && !allowed.some((start) => path.startsWith(start)),
    )
    expect([...new Set(strange)]).toEqual([])
  })

  it('connects to nobody', () => {
    // Name service look-ups of libc go to a local socket; nothing goes to a network.
    expect(trace.connected.filter((address) => /AF_INET|nbd|AF_VSOCK/.test(address))).toEqual([])
  })

  it('would be seen if it did: `qemu-img info --backing-chain` opens the decoy', async () => {
    const hostile = join(folder, 'hostile.qcow2')
    await writeFile(hostile, craftQcow2({ backing: decoy, extensions: [[0xe279_2aca, Buffer.from('raw')]] }))
    const seen = await traceOpens('qemu-img', ['info', '--backing-chain', '-f', 'qcow2', hostile], folder)
    expect(seen.opened).toContain(decoy)
  })
})

function between(opened: string[]): string[] {
  const begin = opened.indexOf('/sandlabx-trace-begins')
  const end = opened.indexOf('/sandlabx-trace-ends')
  expect(begin).toBeGreaterThan(0)
  expect(end).toBeGreaterThan(begin)
  return opened.slice(begin + 1, end)
}
