import { describe, expect, it } from '@jest/globals'
import { NO_LIMITS } from '../domain/drive.js'
import { nodeIdSchema } from '../domain/ids.js'
import { diskArguments, throttles } from './disk-arguments.js'
import type { NodeSpec } from './engine.js'
import type { DiskSpec } from './engine-disks.js'
import { requireSafeSpec } from './machine-checks.js'

const ID = nodeIdSchema.parse('0f8fad5b-d9cb-469f-a165-70867728950e')
const root: DiskSpec = { id: 'root', role: 'root', file: `node_${ID}.qcow2`, sizeBytes: 1024 ** 3, readOnly: false }
const data: DiskSpec = { id: 'logs', role: 'data', file: 'drive_1.qcow2', sizeBytes: 1024 ** 3, readOnly: false }

function specWith(...disks: DiskSpec[]): NodeSpec {
  return {
    id: ID,
    name: 'web-1',
    generation: 1,
    cpus: 1,
    memoryMib: 64,
    base: { file: 'tiny.qcow2', fingerprint: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 } },
    firmware: 'bios',
    directBoot: null,
    disks,
    nics: [],
    seed: null,
  }
}

const places = { images: 'images', overlays: 'overlays', seed: null }

/** The JSON values of one option. */
function jsonOf(spec: NodeSpec, option: string): Record<string, unknown>[] {
  const args = diskArguments(spec, places)
  return args.flatMap((arg, index) => (args[index - 1] === option ? [JSON.parse(arg) as Record<string, unknown>] : []))
}

describe("QEMU's options for drives", () => {
  it('put the root disk of a guest that was installed on one on IDE, and only that', () => {
    const legacy: NodeSpec = { ...specWith(root, data), devices: { disk: 'ide', card: 'e1000' } }
    const [first, second] = jsonOf(legacy, '-device')
    expect(first).toMatchObject({ driver: 'ide-hd', bus: 'ide.0', unit: 0, id: 'disk-root', bootindex: 1 })
    expect(first).not.toHaveProperty('addr')
    expect(second).toMatchObject({ driver: 'virtio-blk-pci', id: 'disk-logs' })
    const limits = { ...NO_LIMITS, bytesPerSecond: 1 }
    const limited = [
      { ...root, limits },
      { ...data, limits },
    ]
    expect(throttles(limited, legacy.devices).map(({ id }) => id)).toEqual([
      '/machine/peripheral/disk-root',
      '/machine/peripheral/disk-logs/virtio-backend',
    ])
  })

  it('name each by its id, which the guest sees as serial number, at a place of its own after the root disk', () => {
    const devices = jsonOf(specWith(root, data, { ...data, id: 'db' }), '-device')
    expect(devices.map(({ id, serial, addr, bootindex }) => [id, serial, addr, bootindex])).toEqual([
      ['disk-root', 'root', '0x8', 1],
      ['disk-logs', 'logs', '0xa', undefined],
      ['disk-db', 'db', '0xb', undefined],
    ])
  })

  it('open a qcow2 with no base, or over its layers and no further', () => {
    const layers = ['layer_b.qcow2', 'layer_a.qcow2']
    const [, alone, over] = jsonOf(
      specWith(root, data, { ...data, id: 'db', backing: { layers, base: false } }),
      '-blockdev',
    )
    expect(alone).toMatchObject({ driver: 'qcow2', discard: 'unmap', backing: null })
    expect(over).toMatchObject({
      backing: {
        'read-only': true,
        file: { filename: 'overlays/layer_b.qcow2' },
        backing: { file: { filename: 'overlays/layer_a.qcow2' }, backing: null },
      },
    })
  })

  it('open a read-only one read-only, its file too', () => {
    const [, qcow2, raw] = jsonOf(
      specWith(root, { ...data, readOnly: true }, { ...data, id: 'iso', format: 'raw', readOnly: true }),
      '-blockdev',
    )
    expect(qcow2).toMatchObject({ driver: 'qcow2', 'read-only': true, file: { 'read-only': true } })
    expect(raw).toMatchObject({ driver: 'raw', 'read-only': true, file: { 'read-only': true } })
  })

  it("give a person's own file by its whole path, in the format that was said", () => {
    const own: DiskSpec = { ...data, path: '/srv/disks/a,b "c".raw', format: 'raw' }
    expect(jsonOf(specWith(root, own), '-blockdev')[1]).toMatchObject({
      driver: 'raw',
      file: { driver: 'file', filename: '/srv/disks/a,b "c".raw' },
    })
  })

  it('follow the recorded cache and io, of the root disk as well', () => {
    const direct = { cache: 'none', io: 'native' } as const
    const [first, second] = jsonOf(specWith({ ...root, ...direct }, { ...data, ...direct }), '-blockdev')
    for (const drive of [first, second]) {
      expect(drive).toMatchObject({ cache: { direct: true }, file: { aio: 'native', cache: { direct: true } } })
    }
    const through = specWith({ ...root, cache: 'writethrough' }, { ...data, cache: 'writeback' })
    expect(jsonOf(through, '-device').map((device) => device['write-cache'])).toEqual(['off', undefined])
    expect(jsonOf(through, '-blockdev')[0]).toMatchObject({ cache: { direct: false }, file: { aio: 'threads' } })
  })

  it('limit only what has limits, at the device', () => {
    const limits = { ...NO_LIMITS, bytesPerSecond: 1000, burstBytesPerSecond: 5000 }
    expect(throttles([{ ...root, limits: NO_LIMITS }, data, { ...data, id: 'slow', limits }])).toEqual([
      {
        id: '/machine/peripheral/disk-slow/virtio-backend',
        bps: 1000,
        bps_rd: 0,
        bps_wr: 0,
        iops: 0,
        iops_rd: 0,
        iops_wr: 0,
        bps_max: 5000,
      },
    ])
  })

  it.each<[string, Partial<DiskSpec>]>([
    ['an id that is an option', { id: 'a,b' }],
    ['a relative path', { path: 'disks/x.raw' }],
    ['a path with a line break', { path: '/srv/a\nb' }],
    ['a file outside', { file: '../state/secret' }],
    ['a layer outside', { backing: { layers: ['../x'], base: false } }],
    ['native io without the cache none', { io: 'native' }],
    ['the id of the root disk', { id: 'root' }],
  ])('are never made of %s', (_what, changes) => {
    expect(() => requireSafeSpec(specWith(root, { ...data, ...changes }))).toThrow(/not acceptable/)
  })

  it('take sixteen drives and not one more', () => {
    const drives = Array.from({ length: 17 }, (_, index) => ({ ...data, id: `d${index}` }))
    expect(() => requireSafeSpec(specWith(root, ...drives.slice(0, 16)))).not.toThrow()
    expect(() => requireSafeSpec(specWith(root, ...drives))).toThrow(/16/)
  })
})
