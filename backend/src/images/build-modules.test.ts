import { describe, expect, it } from '@jest/globals'
import { loadOrder, moduleName, parseModulesDep } from './build-modules.js'

/** kmod writes all that a module needs behind it, busybox only the next ones: both must do. */
const DEP = `kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/net/core/failover.ko:
kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/virtio/virtio.ko
`

describe('the order in which modules are loaded', () => {
  const index = parseModulesDep(DEP)
  const names = (...wanted: string[]) => loadOrder(index, wanted).map(moduleName)

  it('puts each module after those that it needs, once', () => {
    expect(names('virtio_net', 'virtio_pci')).toEqual(['failover', 'virtio', 'virtio_ring', 'virtio_net', 'virtio_pci'])
  })

  it('takes dashes and underscores for the same, and compressed files as well', () => {
    expect(names('virtio_rng')).toEqual(['virtio', 'virtio_rng'])
    expect(names('virtio-rng')).toEqual(['virtio', 'virtio_rng'])
  })

  it('leaves out what is built into the kernel', () => {
    expect(names('ext4', 'failover')).toEqual(['failover'])
  })

  it('ends when two modules need each other', () => {
    expect(loadOrder(parseModulesDep('a.ko: b.ko\nb.ko: a.ko\n'), ['a'])).toEqual(['b.ko', 'a.ko'])
  })
})
