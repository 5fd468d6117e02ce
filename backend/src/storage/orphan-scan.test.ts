import { execFile } from 'node:child_process'
import { link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ephemeralDir, layoutOf, type Layout } from '../domain/layout.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { managedPath, scanDisks, unnamedDisks } from './orphan-scan.js'

const run = promisify(execFile)
const MIB = 1024 ** 2
let folder: string
let layout: Layout

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sbx-orphans-'))
  layout = layoutOf(folder)
  for (const path of [layout.images, layout.overlays, ephemeralDir(layout)]) await mkdir(path, { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const overlay = (path: string, backingFile: string) =>
  writeQcow2Overlay(join(folder, path), { backingFile, virtualSizeBytes: MIB })
const found = async (name: string) => (await scanDisks(layout)).find((disk) => disk.name === name)
const unnamed = async (...named: string[]) =>
  (await unnamedDisks(layout, await scanDisks(layout), new Set(named))).map(({ path }) => path).toSorted()

describe('the scan of disks', () => {
  it('tells size, format and what a disk stands on by the header alone', async () => {
    await overlay('overlays/a.qcow2', '../images/base.qcow2')
    await writeFile(join(layout.overlays, 'b.raw'), Buffer.alloc(1024))
    await truncate(join(layout.overlays, 'b.raw'), 8 * MIB)
    expect(await found('a.qcow2')).toMatchObject({
      path: '/overlays/a.qcow2',
      format: 'qcow2',
      virtualSizeBytes: MIB,
      backingPath: '/images/base.qcow2',
      fault: null,
    })
    const raw = await found('b.raw')
    expect(raw).toMatchObject({ format: 'raw', virtualSizeBytes: 8 * MIB, sizeBytes: 8 * MIB, fault: null })
    expect(raw?.usedBytes).toBeLessThan(MIB)
  })

  it('walks past a pipe, a socket, a folder, links in a circle and other names, and lists a long one', async () => {
    await run('mkfifo', [join(layout.overlays, 'pipe.qcow2')])
    await mkdir(join(layout.overlays, 'folder.qcow2'))
    await symlink('loop.qcow2', join(layout.overlays, 'loop.qcow2'))
    await symlink('/etc/passwd', join(layout.overlays, 'passwd.img'))
    await writeFile(join(layout.overlays, 'notes.txt'), 'x')
    await writeFile(join(layout.overlays, '.hidden.qcow2'), 'x')
    const long = `${'n'.repeat(249)}.qcow2` // the longest that a file system takes; one of 300 can't be made
    await overlay(`overlays/${long}`, '../images/base.qcow2')
    const server = createServer()
    await new Promise<void>((done) => server.listen(join(layout.overlays, 's.img'), done))
    try {
      expect((await scanDisks(layout)).map(({ name }) => name)).toEqual([long])
    } finally {
      server.close()
    }
  })

  it('lists a file of several names with that as its fault', async () => {
    await overlay('overlays/a.qcow2', '../images/base.qcow2')
    await link(join(layout.overlays, 'a.qcow2'), join(folder, 'outside.qcow2'))
    expect((await found('a.qcow2'))?.fault).toContain('2 names')
  })

  it.each([
    ['nbd:10.0.0.1:10809', 'outside of the managed'],
    ['json:{"driver":"file","filename":"/etc/shadow"}', 'outside of the managed'],
    ['/etc/passwd', 'outside of the managed'],
    ['../state/nodes-state.json', 'outside of the managed'],
    ['../images/.staging/x.qcow2', 'outside of the managed'],
  ])('says that a disk over %s is not to be used', async (backing, fault) => {
    await overlay('overlays/evil.qcow2', backing)
    expect((await found('evil.qcow2'))?.fault).toContain(fault)
  })

  it('goes on after damaged headers, and says what is wrong with each', async () => {
    await writeFile(join(layout.overlays, 'empty.qcow2'), '')
    await writeFile(join(layout.overlays, 'text.qcow2'), 'no disk at all')
    await writeFile(
      join(layout.overlays, 'short.img'),
      Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(9)]),
    )
    await writeFile(join(layout.overlays, 'odd.raw'), Buffer.alloc(700))
    await overlay('overlays/good.qcow2', '../images/base.qcow2')
    const disks = await scanDisks(layout)
    expect(disks).toHaveLength(5)
    expect(disks.filter(({ fault }) => fault === null).map(({ name }) => name)).toEqual(['good.qcow2'])
  })

  it('names as unnamed what no record names and nothing in use stands on', async () => {
    await overlay('images/base.qcow2', 'none.qcow2')
    await overlay('images/other.qcow2', 'none.qcow2')
    await overlay('overlays/layer.qcow2', '../images/base.qcow2')
    await overlay('overlays/node.qcow2', 'layer.qcow2')
    await overlay('overlays/lost.qcow2', '../images/other.qcow2')
    expect(await unnamed('/overlays/node.qcow2')).toEqual(['/images/other.qcow2', '/overlays/lost.qcow2'])
    expect(await unnamed('/overlays/node.qcow2', '/overlays/lost.qcow2')).toEqual([])
  })

  it('leaves alone what an ephemeral node stands on', async () => {
    await overlay('overlays/lost.qcow2', '../images/base.qcow2')
    await overlay('overlays/.ephemeral/e.qcow2', '../lost.qcow2')
    expect(await unnamed()).toEqual([])
  })

  it('goes round a chain that is a circle', async () => {
    await overlay('overlays/a.qcow2', 'b.qcow2')
    await overlay('overlays/b.qcow2', 'a.qcow2')
    expect(await unnamed()).toEqual(['/overlays/a.qcow2', '/overlays/b.qcow2'])
    expect(await unnamed('/overlays/a.qcow2')).toEqual([])
  })

  it('knows a managed path however it is written', () => {
    expect(managedPath(layout, layout.overlays, '../images/x.qcow2')).toBe('/images/x.qcow2')
    expect(managedPath(layout, layout.overlays, `${layout.images}/x.qcow2`)).toBe('/images/x.qcow2')
    expect(managedPath(layout, layout.overlays, '../images/sub/x.qcow2')).toBeNull()
  })
})
