import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { layoutOf, overlayFile, previousStateFile, type Layout } from '../../src/domain/layout.js'
import type { NodeRecord } from '../../src/domain/node.js'
import { emptyState, type LabState } from '../../src/domain/state.js'
import { decodeEnvelope } from '../../src/state/envelope.js'
import { lockState } from '../../src/state/lock.js'
import { writeStateFile } from '../../src/state/state-files.js'
import { cli, startCli, type CliResult } from '../support/cli.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000)

let sources: CompiledSources
let folder: string
let layout: Layout

beforeAll(async () => {
  sources = await compileSources(['domain', 'system', 'state'])
}, 60_000)
afterAll(() => sources?.remove())

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandlabx-state-'))
  layout = layoutOf(folder)
  for (const path of [layout.images, layout.overlays, layout.state]) await mkdir(path)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const run = (...argv: string[]): Promise<CliResult> =>
  cli(['--data', folder, 'state', ...argv], { serverScript: sources.path('main.js') })

const idOf = (name: string) =>
  `${createHash('sha256').update(name).digest('hex').slice(0, 8)}-0000-4000-8000-000000000000`

/** A node that needs no image, with its disk. */
async function node(name: string, change: Record<string, unknown> = {}): Promise<NodeRecord> {
  const id = idOf(name)
  await writeFile(overlayFile(layout, id), 'a disk')
  return {
    id,
    name,
    ownerId: idOf('owner'),
    imageId: 'empty',
    base: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 },
    backing: { kind: 'none' },
    cpus: 1,
    memoryMib: 64,
    diskBytes: 16 * 1024 ** 2,
    overlayFile: `node_${id}.qcow2`,
    mac: `52:54:00:${id.slice(0, 2)}:${id.slice(2, 4)}:${id.slice(4, 6)}`,
    internet: false,
    guest: { user: 'student', passwordHash: null, sshKeys: [] },
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    events: [],
    ...change,
  } as unknown as NodeRecord // what it leaves out has a default when it is read
}

async function write(nodes: NodeRecord[], more: Partial<LabState> = {}, revision = 1): Promise<void> {
  await writeStateFile(layout, { revision, data: { ...emptyState(), nodes, ...more } })
}

async function damage(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  expect(text).toContain(from)
  await writeFile(path, text.replace(from, to))
}

const namesIn = async (path: string) => {
  const reading = decodeEnvelope(await readFile(path, 'utf8'))
  return reading.kind === 'good' ? reading.snapshot.data.nodes.map(({ name }) => name) : reading
}

/** All files of the state with their content: what may not change. */
async function everything(): Promise<string> {
  const names = (await readdir(layout.state)).filter((name) => name !== 'lock').toSorted()
  return (
    await Promise.all(names.map(async (name) => `${name} ${await readFile(join(layout.state, name), 'utf8')}`))
  ).join()
}

it('says ✓ for each thing that is sound, and exits with 0', async () => {
  await write([await node('web')])
  const { exitCode, out } = await run('check')
  expect(out.split('\n')).toEqual([
    '✓ nodes-state.json: is a state file of SandLabX',
    '✓ nodes-state.json: checksum is right',
    '✓ nodes-state.json: schema 4, revision 1',
    '✓ records: 1 nodes, 0 images, 0 layers, 0 snapshots agree with each other',
    '✓ files: 1 files that the records name exist',
    'The state is sound.',
    '',
  ])
  expect(exitCode).toBe(0)
})

it('tells a wrong checksum, and that the one before it can be used', async () => {
  await write([await node('web')])
  await write([await node('web'), await node('db')])
  await damage(layout.stateFile, '"web"', '"wab"')
  const { exitCode, out } = await run('check')
  expect(out).toContain('✓ nodes-state.json: is a state file of SandLabX\n✗ nodes-state.json: its checksum is wrong\n')
  expect(out).toContain('✓ nodes-state.json.prev: schema 4, revision 1\n')
  expect(out).toContain('state restore --previous')
  expect(exitCode).toBe(3)
})

it('tells a file that is cut off, one that is missing, and one of a newer SandLabX', async () => {
  await write([])
  const text = await readFile(layout.stateFile, 'utf8')
  await writeFile(layout.stateFile, text.slice(0, text.length / 2))
  expect((await run('check')).out).toContain('✗ nodes-state.json: it is cut off or not JSON\n')
  await writeFile(layout.stateFile, text.replace('"schema":4', '"schema":99'))
  expect((await run('check')).out).toContain(
    '✗ nodes-state.json: a newer SandLabX wrote it (schema 99; this one knows 4)\n',
  )
  await rm(layout.stateFile)
  const gone = await run('check')
  expect(gone.out).toContain('✗ nodes-state.json: MISSING\n✗ nodes-state.json.prev: MISSING\n')
  expect(gone.exitCode).toBe(3)
})

it('holds records against each other and against the files', async () => {
  const web = await node('web')
  const twin = await node('twin', { name: 'web', mac: web.mac })
  const lost = await node('lost', { backing: { kind: 'layer', layerId: idOf('layer') } })
  await write([web, twin, lost])
  const { out } = await run('check')
  expect(out).toContain('✗ records: the node name web is there more than once\n')
  expect(out).toContain(`✗ records: the MAC address ${web.mac} is there more than once\n`)
  expect(out).toContain(`✗ node lost: its root disk stands on the layer ${idOf('layer')}, which has no record\n`)
  await write([web])
  await rm(overlayFile(layout, web.id))
  expect((await run('check')).out).toContain(`✗ node web: /overlays/node_${web.id}.qcow2 is MISSING\n`)
})

it('answers in JSON, and changes nothing', async () => {
  await write([await node('web')])
  await write([await node('web')])
  const before = await everything()
  const { out, exitCode } = await run('check', '--json')
  expect(exitCode).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ ok: true, usable: 'current' })
  expect(await everything()).toBe(before)
})

it('leaves the files to a SandLabX that runs: exit 75', async () => {
  await write([await node('web')])
  const unlock = await lockState(layout)
  try {
    for (const argv of [['check'], ['restore', '--previous', '--force']]) {
      const { exitCode, err } = await run(...argv)
      expect(err).toContain('another SandLabX uses it')
      expect(exitCode).toBe(75)
    }
  } finally {
    unlock()
  }
})

it('says that there is none in a folder without a state, and makes none', async () => {
  await rm(layout.state, { recursive: true })
  const { exitCode, err } = await run('check')
  expect(err).toContain(`There is no state of SandLabX in ${layout.state}.`)
  expect(exitCode).toBe(1)
  await expect(stat(layout.state)).rejects.toMatchObject({ code: 'ENOENT' })
})

it('shows what a restore would change, and changes nothing with --dry-run', async () => {
  await write([await node('old'), await node('both', { cpus: 2 })])
  await write([await node('new'), await node('both')], {}, 2)
  const before = await everything()
  const { exitCode, out } = await run('restore', '--previous', '--dry-run')
  expect(exitCode).toBe(0)
  expect(out).toContain(`Restore ${previousStateFile(layout)} (revision 1, schema 4) as ${layout.stateFile}\n`)
  expect(out).toContain('  1 nodes that come back: old\n')
  expect(out).toContain('  1 nodes that leave the list (their files stay): new\n')
  expect(out).toContain('  1 nodes that change: both\n')
  expect(out).toContain('nothing was changed')
  expect(await everything()).toBe(before)
})

it('puts the one before it in place, and keeps what was there under a dated name', async () => {
  await write([await node('old')])
  await write([await node('new')], {}, 2)
  await damage(layout.stateFile, '"new"', '"now"')
  const damaged = await readFile(layout.stateFile, 'utf8')
  const { exitCode } = await run('restore', '--previous', '--force')
  expect(exitCode).toBe(0)
  expect(await namesIn(layout.stateFile)).toEqual(['old'])
  expect(await namesIn(previousStateFile(layout))).toEqual(['old'])
  const aside = (await readdir(layout.state)).filter((name) => name.includes('.before-restore-'))
  expect(aside).toHaveLength(1)
  expect(await readFile(join(layout.state, aside[0]!), 'utf8')).toBe(damaged)
  expect((await run('check')).exitCode).toBe(0)
})

it('puts a backup in place, and warns of disks that are not there', async () => {
  const kept = await node('kept')
  await write([kept, await node('gone')])
  const backup = join(folder, 'backup.json')
  await copyFile(layout.stateFile, backup)
  await write([kept], {}, 7)
  await rm(overlayFile(layout, idOf('gone')))
  const { out, exitCode } = await run('restore', '--from', backup, '--force', '--json')
  expect(exitCode).toBe(0)
  const { restored } = JSON.parse(out)
  expect(restored.nodes.comes).toEqual(['gone'])
  expect(restored.warnings).toEqual([
    `node gone: /overlays/node_${idOf('gone')}.qcow2 is missing, so it would show as broken`,
  ])
  expect(await namesIn(layout.stateFile)).toEqual(['kept', 'gone'])
  expect((await stat(layout.stateFile)).mode & 0o777).toBe(0o600)
})

it('refuses a damaged backup, one of a newer SandLabX, and one that is not there', async () => {
  await write([await node('web')])
  const before = await everything()
  const text = await readFile(layout.stateFile, 'utf8')
  const backup = join(folder, 'backup.json')
  await writeFile(backup, text.replace('"web"', '"wab"'))
  const damaged = await run('restore', '--from', backup, '--force')
  expect(damaged.err).toContain("can't take the state's place: its checksum is wrong.")
  expect(damaged.exitCode).toBe(78)
  await writeFile(backup, text.replace('"schema":4', '"schema":5'))
  const newer = await run('restore', '--from', backup, '--force')
  expect(newer.err).toContain('was written by a newer SandLabX (schema 5; this one knows 4)')
  expect(newer.exitCode).toBe(78)
  expect((await run('restore', '--previous', '--force')).exitCode).toBe(1)
  expect(await everything()).toBe(before)
})

it('asks on a terminal, and without one wants --force', async () => {
  await write([await node('old')])
  await write([await node('new')], {}, 2)
  const mute = await run('restore', '--previous')
  expect(mute.exitCode).toBe(2)
  expect(mute.err).toContain('--force')
  const options = { serverScript: sources.path('main.js'), terminal: true }
  const asked = startCli(['--data', folder, 'state', 'restore', '--previous'], options)
  await untilSeen('the question', async () => asked.err().includes('Put it in place?'))
  asked.type('n')
  expect((await asked.result).exitCode).toBe(130)
  expect(await namesIn(layout.stateFile)).toEqual(['new'])
  expect((await run('restore')).err).toContain('Say which: --previous, or --from FILE.')
  expect(basename(layout.stateFile)).toBe('nodes-state.json')
})
