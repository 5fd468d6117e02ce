import { describe, expect, it } from '@jest/globals'
import type { NetworkInterfaceInfo } from 'node:os'
import { closedNetworks, closingRoutes } from './egress-routes.js'

function address(cidr: string, netmask: string): NetworkInterfaceInfo {
  const family = 'IPv4'
  return { address: cidr.split('/')[0] ?? '', netmask, cidr, family, mac: '00:00:00:00:00:00', internal: false }
}

describe('the networks that no guest reaches', () => {
  it('are the private and special ones, wherever the host is', () => {
    expect(closedNetworks({})).toEqual(
      expect.arrayContaining(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10']),
    )
  })

  it('are the addresses of the host, public ones too, and the networks that it is in', () => {
    const closed = closedNetworks({
      lo: [{ ...address('127.0.0.1/8', '255.0.0.0'), internal: true }],
      eth0: [address('8.8.12.200/23', '255.255.254.0')],
      ppp0: [address('203.0.113.9/32', '255.255.255.255')],
      odd: [address('51.1.2.3/0', '0.0.0.0')],
      none: undefined,
    })
    expect(closed).toEqual(
      expect.arrayContaining(['8.8.12.200/32', '8.8.12.0/23', '203.0.113.9/32', '51.1.2.3/32', '51.0.0.0/8']),
    )
    expect(closed.filter((network) => network.startsWith('127.') || network.endsWith('/0'))).toEqual([])
    expect(new Set(closed).size).toBe(closed.length)
  })

  it('are closed by one route each', () => {
    expect(closingRoutes(['10.0.0.0/8', '8.8.8.8/32'])).toBe(
      'route replace blackhole 10.0.0.0/8\nroute replace blackhole 8.8.8.8/32\n',
    )
  })
})
