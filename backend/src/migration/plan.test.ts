import { describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { nodeRecordSchema, type NodeRecord } from '../domain/node.js'
import type { OldInstallation } from './find.js'
import type { OldDisk, OldImage } from './old-disks.js'
import type { OldNode } from './old-records.js'
import { planMigration, type Present } from './plan.js'

const WEB = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01'
const OURS = '/lab/overlays'

const oldNode = (changes: Partial<OldNode> = {}): OldNode => ({
  oldId: WEB,
  id: WEB,
  name: 'web',
  osType: 'alpine',
  diskFile: `node_${WEB}.qcow2`,
  imageFile: null,
  memoryMib: null,
  cpus: null,
  userId: null,
  createdAt: '2025-10-01T00:00:00.000Z',
  updatedAt: null,
  startedAt: null,
  source: 'a.json',
  ...changes,
})

const oldDisk = (folder: string, mtimeMs: number, changes: Partial<OldDisk> = {}): OldDisk => ({
  path: `${folder}/node_${WEB}.qcow2`,
  file: `node_${WEB}.qcow2`,
  sizeBytes: 1000,
  usedBytes: 800,
  mtimeMs,
  key: `${folder} ${mtimeMs}`,
  fault: null,
  virtualSizeBytes: 4096,
  baseFile: 'alpine-3.qcow2',
  baseIsCustom: false,
  ...changes,
})

const base: OldImage = {
  path: '/old/images/alpine-3.qcow2',
  file: 'alpine-3.qcow2',
  isCustom: false,
  sha256: 'a'.repeat(64),
  sizeBytes: 500,
  usedBytes: 400,
  mtimeMs: Date.parse('2025-01-01T00:00:00.000Z'),
  key: 'base',
  fault: null,
  virtualSizeBytes: 4096,
}

const here = (id: string, name: string): NodeRecord =>
  nodeRecordSchema.parse({
    id,
    name,
    ownerId: randomUUID(),
    imageId: 'alpine-3',
    base: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 },
    cpus: 1,
    memoryMib: 64,
    diskBytes: 1024 ** 2,
    overlayFile: `node_${id}.qcow2`,
    mac: '02:00:00:00:00:01',
    internet: false,
    guest: { user: 'student', passwordHash: null, sshKeys: [] },
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: '2026-11-21T00:00:00.000Z',
    updatedAt: '2026-11-21T00:00:00.000Z',
    events: [],
  })

function plan(found: Partial<OldInstallation>, nodes: NodeRecord[] = [], without: string[] = []) {
  const present: Present = {
    state: { nodes, images: [], layers: [] },
    accounts: null,
    overlaysFolder: OURS,
    imageNames: [],
  }
  const all = { nodes: [], users: [], disks: [], images: [base], sources: [], records: [], warnings: [], ...found }
  return planMigration(all, present, { without })
}

describe('the plan of a migration', () => {
  it('leaves what came over before as it is, whatever lies under its name', () => {
    const disks = [oldDisk('/old/overlays', 1), oldDisk(OURS, 2)]
    const { shown, nodes } = plan({ nodes: [oldNode()], disks }, [here(WEB, 'web')])
    expect(nodes).toEqual([])
    expect(shown.nodes).toMatchObject([{ action: 'here' }])
    expect(shown.filesWithoutRecord).toEqual([])
  })

  it('takes the disk that was written last, and gives each other one a node that is the same each time', () => {
    const disks = [oldDisk('/a', 5), oldDisk('/b', 9), oldDisk('/copy-of-b', 9)]
    const first = plan({ nodes: [oldNode()], disks })
    expect(first.nodes.map(({ name, disk }) => [name, disk?.path])).toEqual([
      ['web', `/b/node_${WEB}.qcow2`],
      ['web-other-disk', `/a/node_${WEB}.qcow2`],
    ])
    const again = plan({ nodes: [oldNode()], disks })
    expect(again.nodes.map(({ id }) => id)).toEqual(first.nodes.map(({ id }) => id))
    expect(again.shown.token).toBe(first.shown.token)
  })

  it('knows a disk that lies where the new one will lie', () => {
    expect(plan({ nodes: [oldNode()], disks: [oldDisk(OURS, 1)] }).nodes).toMatchObject([{ inPlace: true }])
    expect(plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1)] }).nodes).toMatchObject([{ inPlace: false }])
  })

  it('goes by the record that was changed last, and says so', () => {
    const nodes = [
      oldNode({ name: 'new', updatedAt: '2026-02-01T00:00:00.000Z', source: 'new.json' }),
      oldNode({ name: 'stale', updatedAt: '2026-01-01T00:00:00.000Z', source: 'old.json' }),
    ]
    const { shown } = plan({ nodes })
    expect(shown.nodes.map(({ name }) => name)).toEqual(['new'])
    expect(shown.warnings).toEqual([expect.stringMatching(/in new\.json and in old\.json/)])
  })

  it('gives a name that is taken a number, and tells of each new name', () => {
    const other = '0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a02'
    const { nodes } = plan({ nodes: [oldNode(), oldNode({ id: other, oldId: other, name: 'Web' })] })
    expect(nodes.map(({ name, notes }) => [name, notes.at(-1)])).toEqual([
      ['web', 'It never ran: it gets an empty disk over its base image.'],
      ['web-2', 'It was called "Web".'],
    ])
  })

  it('leaves behind what is damaged, what has no base image, and what it is told to', () => {
    const fault = 'the disk is marked as corrupt by QEMU'
    const reasons = [
      plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1, { fault })] }),
      plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1)], images: [] }),
      plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1)] }, [], ['web']),
    ].map(({ shown }) => shown.nodes[0]?.reason)
    expect(reasons).toEqual([
      expect.stringContaining(fault),
      expect.stringContaining('alpine-3.qcow2, which was not found'),
      'You asked to leave it behind.',
    ])
  })

  it('warns of a base image that was written after the node was made', () => {
    const later = { ...base, mtimeMs: Date.parse('2026-01-01T00:00:00.000Z') }
    const { nodes } = plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1)], images: [later] })
    expect(nodes[0]?.notes).toEqual([expect.stringContaining('was written at 2026-01-01')])
  })

  it('has another token once anything else is found', () => {
    const { shown } = plan({ nodes: [oldNode()], disks: [oldDisk('/old', 1)] })
    expect(plan({ nodes: [oldNode()], disks: [oldDisk('/old', 2)] }).shown.token).not.toBe(shown.token)
    expect(plan({ nodes: [oldNode({ name: 'x' })], disks: [oldDisk('/old', 1)] }).shown.token).not.toBe(shown.token)
  })
})
