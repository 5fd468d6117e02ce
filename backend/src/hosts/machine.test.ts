import { describe, expect, it } from '@jest/globals'
import { nodeIdSchema } from '../domain/ids.js'
import { EngineError, type NodeSpec } from './engine.js'
import { hasAgentPort, macOf, machineName, qemuArguments, runsAs, type MachinePlan } from './machine.js'

const ID = nodeIdSchema.parse('0f8fad5b-d9cb-469f-a165-70867728950e')

function plan(spec: Partial<NodeSpec> = {}, changes: Partial<MachinePlan> = {}): MachinePlan {
  return {
    accelerator: 'tcg',
    qemuVersion: { major: 7, minor: 2 },
    paths: { images: 'images', overlays: 'overlays', io: 'run/0f8fad5bd9cb/io', seed: null, uefi: null },
    spec: {
      id: ID,
      name: 'web-1',
      generation: 3,
      cpus: 2,
      memoryMib: 512,
      base: { file: 'debian-12.qcow2', fingerprint: { sha256: '0'.repeat(64), sizeBytes: 1, mtimeMs: 1 } },
      firmware: 'bios',
      directBoot: null,
      disks: [{ id: 'root', role: 'root', file: `node_${ID}.qcow2`, sizeBytes: 1024 ** 3, readOnly: false }],
      nics: [{ mac: '02:11:22:33:44:55', internet: false }],
      seed: null,
      ...spec,
    },
    ...changes,
  }
}

/** The value after an option, each time that it is given. */
function valuesOf(args: string[], option: string): string[] {
  return args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []))
}

function jsonOf(args: string[], option: string): Record<string, unknown>[] {
  return valuesOf(args, option).map((value) => JSON.parse(value) as Record<string, unknown>)
}

describe("QEMU's arguments", () => {
  it('give a guest that was installed on one an e1000 card, with its own address and nothing to boot from', () => {
    const args = qemuArguments(plan({ devices: { disk: 'ide', card: 'e1000' } }))
    const card = jsonOf(args, '-device').find(({ id }) => id === 'nic0')
    expect(card).toMatchObject({ driver: 'e1000', mac: '02:11:22:33:44:55', romfile: '' })
  })

  it('name the machine by a versioned type, its id and its generation, with the guest held', () => {
    const args = qemuArguments(plan())
    expect(valuesOf(args, '-machine')).toEqual(['pc-i440fx-7.2,usb=off,dump-guest-core=off'])
    expect(valuesOf(args, '-uuid')).toEqual([ID])
    expect(valuesOf(args, '-name')).toEqual([`guest=${machineName({ id: ID, generation: 3 })}`])
    expect(args).toEqual(expect.arrayContaining(['-no-user-config', '-nodefaults', '-S']))
    const newer = qemuArguments(plan({}, { qemuVersion: { major: 10, minor: 0 } }))
    expect(valuesOf(newer, '-machine')[0]).toMatch(/^pc-i440fx-10\.0,/)
  })

  it('open the overlay over a base that can have no base of its own', () => {
    const [root] = jsonOf(qemuArguments(plan()), '-blockdev')
    expect(root).toMatchObject({
      driver: 'qcow2',
      'node-name': 'root',
      discard: 'unmap',
      'detect-zeroes': 'unmap',
      file: { driver: 'file', filename: `overlays/node_${ID}.qcow2` },
      backing: {
        driver: 'qcow2',
        'read-only': true,
        backing: null,
        file: { driver: 'file', filename: 'images/debian-12.qcow2', 'read-only': true },
      },
    })
  })

  it('stop the guest at an error of the disk instead of telling it', () => {
    const disks = jsonOf(qemuArguments(plan()), '-device').filter((device) => device['driver'] === 'virtio-blk-pci')
    expect(disks).toEqual([expect.objectContaining({ drive: 'root', werror: 'stop', rerror: 'stop', bootindex: 1 })])
  })

  it('give no monitor, no display of the host, and confine the process', () => {
    const args = qemuArguments(plan())
    expect(valuesOf(args, '-monitor')).toEqual(['none'])
    expect(valuesOf(args, '-display')).toEqual(['none'])
    expect(valuesOf(args, '-sandbox')).toEqual([
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    ])
    expect(valuesOf(args, '-vnc')).toEqual(['unix:run/0f8fad5bd9cb/io/vnc,share=force-shared'])
    expect(args.filter((arg) => arg.startsWith('-drive'))).toEqual([])
  })

  it('name a layout of keys only where one was chosen, for viewers that send characters', () => {
    expect(qemuArguments(plan())).not.toContain('-k') // with it, noVNC would go by characters too
    expect(valuesOf(qemuArguments(plan({ keyboard: 'de-ch' })), '-k')).toEqual(['de-ch'])
  })

  it('restrict the network unless the internet is allowed for this card', () => {
    const nics = [
      { mac: '02:00:00:00:00:01', internet: false },
      { mac: '02:00:00:00:00:02', internet: true },
    ]
    const args = qemuArguments(plan({ nics }))
    expect(valuesOf(args, '-netdev')).toEqual([
      'user,id=net0,net=10.0.2.0/24,restrict=on',
      'user,id=net1,net=10.0.3.0/24,restrict=off,ipv6=off',
    ])
    const cards = jsonOf(args, '-device').filter((device) => device['driver'] === 'virtio-net-pci')
    expect(cards.map(({ mac, addr }) => [mac, addr])).toEqual([
      ['02:00:00:00:00:01', '0x3'],
      ['02:00:00:00:00:02', '0x4'],
    ])
    expect(valuesOf(qemuArguments(plan({ nics: [] })), '-netdev')).toEqual([])
  })

  it("use the host's CPU only under KVM", () => {
    expect(valuesOf(qemuArguments(plan({}, { accelerator: 'kvm' })), '-cpu')).toEqual(['host'])
    expect(valuesOf(qemuArguments(plan({}, { accelerator: 'kvm' })), '-accel')).toEqual(['kvm'])
    expect(valuesOf(qemuArguments(plan()), '-cpu')[0]).toMatch(/^qemu64,/)
    expect(valuesOf(qemuArguments(plan()), '-accel')[0]).toMatch(/^tcg,tb-size=/)
  })

  it('boot a kernel of the image directly, with its command line as one argument of its own', () => {
    const directBoot = {
      kernel: 'tiny.vmlinuz',
      initrd: 'tiny.cpio.gz',
      commandLine: 'console=ttyS0 quiet root=/dev/vda',
    }
    const args = qemuArguments(plan({ directBoot }))
    expect(valuesOf(args, '-kernel')).toEqual(['images/tiny.vmlinuz'])
    expect(valuesOf(args, '-initrd')).toEqual(['images/tiny.cpio.gz'])
    expect(valuesOf(args, '-append')).toEqual([directBoot.commandLine])
    expect(valuesOf(qemuArguments(plan({ directBoot: { ...directBoot, initrd: null } })), '-initrd')).toEqual([])
  })

  it('take UEFI from a read-only file and its variables from a writable one', () => {
    const uefi = { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: `overlays/node_${ID}.efivars.fd` }
    const base = plan({ firmware: 'uefi' })
    const args = qemuArguments({ ...base, paths: { ...base.paths, uefi } })
    expect(jsonOf(args, '-blockdev').slice(0, 2)).toEqual([
      expect.objectContaining({ 'node-name': 'uefi-code', 'read-only': true }),
      expect.objectContaining({ 'node-name': 'uefi-variables', 'read-only': false }),
    ])
    expect(valuesOf(args, '-machine')).toContain('pflash0=uefi-code,pflash1=uefi-variables')
  })

  it('open the layers that a disk stands on in their order, and the base last, unless there is none', () => {
    const base = plan()
    const chainOf = (backing: NonNullable<NodeSpec['backing']>) => {
      const args = qemuArguments({ ...base, spec: { ...base.spec, backing } })
      const names: string[] = []
      let layer = valuesOf(args, '-blockdev').map((one) => JSON.parse(one))[0]
      for (layer = layer.backing; layer; layer = layer.backing) {
        expect(layer['read-only']).toBe(true)
        names.push(layer.file.filename.split('/').at(-1))
      }
      return names
    }
    const layers = ['layer_b.qcow2', 'layer_a.qcow2']
    expect(chainOf({ layers, base: true })).toEqual([...layers, 'debian-12.qcow2'])
    expect(chainOf({ layers, base: false })).toEqual(layers)
    expect(chainOf({ layers: [], base: false })).toEqual([])
    expect(() => chainOf({ layers: ['../x'], base: true })).toThrow(/backing/)
  })

  it('attach the seed as a read-only raw disk, and data disks without a base', () => {
    const base = plan()
    const data = { id: 'd1', role: 'data', file: 'data-1.qcow2', sizeBytes: 1, readOnly: false } as const
    const args = qemuArguments({
      ...base,
      spec: { ...base.spec, disks: [...base.spec.disks, data, { ...data, id: 'd2', readOnly: true }] },
      paths: { ...base.paths, seed: 'run/0f8fad5bd9cb/io/seed.iso' },
    })
    const [, seed, first, second] = jsonOf(args, '-blockdev')
    expect(seed).toMatchObject({ driver: 'raw', 'read-only': true })
    expect(first).toMatchObject({ driver: 'qcow2', 'read-only': false, backing: null })
    expect(second).toMatchObject({ driver: 'qcow2', 'read-only': true, backing: null })
  })

  it('keep every place on the bus, whether there is a seed or not', () => {
    const base = plan()
    const places = (args: string[]) => Object.fromEntries(jsonOf(args, '-device').map(({ id, addr }) => [id, addr]))
    const without = places(qemuArguments(base))
    const withSeed = places(qemuArguments({ ...base, paths: { ...base.paths, seed: 'seed.iso' } }))
    expect(withSeed).toMatchObject(without)
    expect(new Set(Object.values(withSeed)).size).toBe(Object.keys(withSeed).length)
  })

  it("give the guest's agent a port only where the node has one, and change nothing else by it", () => {
    const without = qemuArguments(plan())
    const args = qemuArguments(plan({ agent: true }))
    expect(args.filter((arg) => !without.includes(arg))).toEqual([
      'socket,id=agent,path=run/0f8fad5bd9cb/io/agent,server=on,wait=off',
      expect.stringContaining('"driver":"virtio-serial-pci"'),
      expect.stringContaining('"name":"org.qemu.guest_agent.0"'),
    ])
    expect(jsonOf(args, '-device').at(-1)).toMatchObject({ driver: 'virtserialport', bus: 'agent-bus.0' })
    expect([hasAgentPort(args), hasAgentPort(without)]).toEqual([true, false])
    expect(qemuArguments(plan({ agent: false }))).toEqual(without)
    const places = jsonOf(args, '-device').flatMap(({ addr }) => addr ?? [])
    expect(new Set(places).size).toBe(places.length)
  })

  it('double a comma in the path of a socket, so that it stays a path', () => {
    const base = plan()
    const args = qemuArguments({ ...base, paths: { ...base.paths, io: '/srv/a,server=off/io' } })
    expect(valuesOf(args, '-chardev')[0]).toBe('socket,id=qmp,path=/srv/a,,server=off/io/qmp,server=on,wait=off')
  })

  const HOSTILE = [
    'web,accel=kvm',
    'a b',
    '$(reboot)',
    '-monitor',
    '"},{"driver":"nbd',
    'x'.repeat(300),
    'ünïcode',
    'line\nbreak',
    'nul\0',
    '',
  ]
  it.each(HOSTILE)('have no trace of the hostile name %j', (name) => {
    expect(qemuArguments(plan({ name }))).toEqual(qemuArguments(plan()))
  })

  const FILES = [
    '../../etc/shadow',
    '/etc/shadow',
    'json:{"driver":"nbd"}',
    'nbd:127.0.0.1:9',
    'fat:/etc',
    'a,readonly=off.qcow2',
    '.hidden',
    'a/../b',
    'a//b',
    'nul\0.qcow2',
    'new\nline',
    ' lead',
    '-x',
    '',
    'x'.repeat(300),
    'a/b/c/d/e',
  ]
  it.each(FILES)('are not made for a file named %j', (file) => {
    const hostile: Partial<NodeSpec>[] = [
      { base: { ...plan().spec.base, file } },
      { disks: [{ ...plan().spec.disks[0]!, file }] },
      { directBoot: { kernel: file, initrd: null, commandLine: '' } },
      { directBoot: { kernel: 'k', initrd: file, commandLine: '' } },
    ]
    for (const spec of hostile) expect(() => qemuArguments(plan(spec))).toThrow(EngineError)
  })

  const BAD: [string, Partial<NodeSpec>][] = [
    ['an id that is none', { id: 'x,uuid=y' as NodeSpec['id'] }],
    ['a MAC with more behind it', { nics: [{ mac: '02:11:22:33:44:55,x', internet: false }] }],
    ['a multicast MAC', { nics: [{ mac: '03:11:22:33:44:55', internet: false }] }],
    ['half a CPU', { cpus: 0.5 }],
    ['no memory', { memoryMib: 0 }],
    ['memory that is no number', { memoryMib: Number.NaN }],
    ['no root disk', { disks: [] }],
    ["another node's disk", { disks: [{ ...plan().spec.disks[0]!, file: 'node_other.qcow2' }] }],
    [
      'more cards than places',
      { nics: Array.from({ length: 9 }, () => ({ mac: '02:11:22:33:44:55', internet: false })) },
    ],
    ['a command line of two lines', { directBoot: { kernel: 'k', initrd: null, commandLine: 'a\nb' } }],
  ]
  it.each(BAD)('are not made for %s', (_, spec) => {
    expect(() => qemuArguments(plan(spec))).toThrow(expect.objectContaining({ code: 'broken' }))
  })
})

describe('a process', () => {
  it('is told by its UUID argument alone', () => {
    expect(runsAs(['qemu', ...qemuArguments(plan())], ID)).toBe(true)
    expect(runsAs(['qemu', '-uuid', ID.replace('0f', '1f')], ID)).toBe(false)
    expect(runsAs(['grep', ID], ID)).toBe(false)
  })
})

describe('a MAC address', () => {
  it('is the same for the same node, and fit for a local, single card', () => {
    expect(macOf(ID)).toBe(macOf(ID))
    expect(macOf(ID)).toMatch(/^02(:[0-9a-f]{2}){5}$/)
  })
  it('differs between nodes, cards and attempts', () => {
    const macs = Array.from({ length: 1000 }, (_, n) => macOf(`node ${n}`))
    expect(new Set([...macs, macOf('node 1', 1), macOf('node 1', 0, 1)]).size).toBe(1002)
  })
})
