import { describe, expect, it } from '@jest/globals'
import { readNodeConfig } from './node-config.js'

const SEED = {
  name: 'production-db',
  binary: '/usr/bin/qemu-system-x86_64',
  arguments: [{ m: '8G' }, { smp: 4 }, { 'enable-kvm': null }],
  storage: [{ name: 'system', type: 'qcow2', file: '/overlays/production-db.qcow2', interface: 'virtio' }],
  network: [{ type: 'user', hostfwd: 'tcp::5432-:5432' }],
}

describe('a node in YAML', () => {
  it('is read in the usual form, and says what it will not do', () => {
    const { config } = readNodeConfig(SEED)
    expect(config).toMatchObject({ name: 'production-db', cpus: 4, memoryMib: 8192, image: null, drives: [] })
    expect(config?.root).toMatchObject({ file: '/overlays/production-db.qcow2', type: 'qcow2' })
    expect(config?.warnings).toEqual([expect.stringContaining('tcp::5432-:5432')])
  })

  it('names every argument that is not allowed, at once', () => {
    const { faults } = readNodeConfig({
      ...SEED,
      arguments: [{ m: '1G' }, { device: 'vfio-pci' }, 'nodefaults', { monitor: 'stdio' }],
    })
    expect(faults?.join(' ')).toMatch(/"device".*"nodefaults".*"monitor"/)
    expect(faults).toHaveLength(3)
  })

  it('tells everything that is wrong with it at once', () => {
    const { faults } = readNodeConfig({
      name: 'Bad Name',
      storage: [{ name: 'x', type: 'vmdk' }],
      exec: 1,
      arguments: [{ smp: -1 }, { m: '1X' }],
    })
    expect(faults?.join('\n')).toMatch(/name:/)
    expect(faults?.join('\n')).toMatch(/storage\.0\.type/)
    expect(faults?.join('\n')).toMatch(/exec/)
    expect(faults?.join('\n')).toMatch(/smp/)
    expect(faults?.join('\n')).toMatch(/m must be memory/)
  })

  it.each([
    ['512', 512],
    [512, 512],
    ['512M', 512],
    ['4G', 4096],
    ['1.5G', 1536],
  ])('reads m: %s as %i MiB', (m, memoryMib) => {
    expect(readNodeConfig({ arguments: [{ m }] }).config?.memoryMib).toBe(memoryMib)
  })

  it.each([
    [{ m: '4G' }, { m: '8G' }],
    [{ smp: 1, m: '1G' }, 'm'],
  ])('refuses an argument that is given twice', (...given) => {
    expect(readNodeConfig({ arguments: given }).faults?.join()).toContain('twice')
  })

  it.each(['a list', 17, [], [1]])('refuses %j, which is no config', (value) => {
    expect(readNodeConfig(value).faults).toBeDefined()
  })

  it('ignores another program than the known one, and says so', () => {
    expect(readNodeConfig({ binary: '/tmp/evil' }).config?.warnings.join()).toContain('qemu-system-x86_64')
  })

  it('knows one network card, and only user networks', () => {
    expect(readNodeConfig({ network: [{ type: 'user' }, { type: 'user' }] }).faults).toBeDefined()
    expect(readNodeConfig({ network: [{ type: 'tap' }] }).faults?.join()).toContain('only `user`')
  })

  it('refuses a further drive that no drive can be named like', () => {
    const storage = [{ name: 'root' }, { name: 'Root Two', size: '1G' }, { name: 'root', size: '9P' }]
    expect(readNodeConfig({ storage }).faults).toHaveLength(3)
  })
})
