import type { NetworkInterfaceInfo } from 'node:os'

/** The network between QEMU's namespace and its way out; of a range for benchmarks (RFC 2544), which no site uses. */
export const WAY_OUT = { network: '198.18.0.0/24', resolver: '198.18.0.3' }

/** What is not the internet: IANA's IPv4 special-purpose registry, without the documentation networks. */
const NOT_THE_INTERNET = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/**
 * IPv4 networks that no guest reaches, in CIDR form: private and special ones, the host's own addresses, and the networks
 * that it is in. The same network is named once. Pure.
 */
export function closedNetworks(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string[] {
  const own = Object.values(interfaces)
    .flatMap((infos) => infos ?? [])
    .flatMap((info) => (info.family === 'IPv4' && info.cidr !== null ? [info] : []))
    .filter((info) => !info.address.startsWith('127.')) // leads to the namespace's own loopback
    .flatMap((info) => [`${info.address}/32`, networkOf(info.address, info.netmask)])
  return [...new Set([...NOT_THE_INTERNET, ...own])]
}

/** For `ip -batch`. Where the kernel finds two routes, the longer prefix counts: the way out stays open. Pure. */
export function closingRoutes(networks: string[]): string {
  return networks.map((network) => `route replace blackhole ${network}\n`).join('')
}

function networkOf(address: string, netmask: string): string {
  const mask = numberOf(netmask)
  const length = mask === 0 ? 0 : 32 - Math.log2((~mask >>> 0) + 1)
  const bits = Math.max(8, length) // a point-to-point link may have any mask; more than a class A is never meant
  const network = numberOf(address) & (-1 << (32 - bits))
  const bytes = [24, 16, 8, 0].map((shift) => (network >>> shift) & 0xff)
  return bits === 32 ? `${address}/32` : `${bytes.join('.')}/${bits}`
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, byte) => (sum << 8) | Number(byte), 0)
}
