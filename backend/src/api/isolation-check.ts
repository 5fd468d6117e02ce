import type { HealthCheck } from '../domain/health.js'
import type { EngineIsolation } from '../hosts/engine.js'

/** How far a guest that broke out of QEMU would come, and how to shorten that way. Pure. */
export function isolationFinding(isolation: EngineIsolation | undefined): Omit<HealthCheck, 'id' | 'title'> {
  if (!isolation) return { state: 'ok', message: 'This engine runs no guests on this machine.', hint: null }
  const { users, network, internet, containers } = isolation
  if (containers?.ok === false) {
    return { state: 'failed', message: `Nodes can't be started. ${containers.reason}`, hint: BROKER_HINT }
  }
  const message = [
    USERS[users],
    NETWORK[network],
    ...(containers ? [CONTAINERS] : []),
    internet.ok ? INTERNET : `Nodes with internet are refused. ${internet.reason}`,
  ]
  const internetHint = internet.ok || containers ? null : INTERNET_HINT
  const hint = users !== 'node' ? HINT[users] : network === 'host' ? NETWORK_HINT : internetHint
  return { state: hint === null ? 'ok' : 'warning', message: message.join(' '), hint }
}

const USERS: Record<EngineIsolation['users'], string> = {
  node: "Each node's QEMU runs as a user of its own, which can read no other node's disk, no state and no secret.",
  shared:
    "All nodes' QEMU run as one user without rights: a guest that broke out of QEMU could read the other nodes' disks.",
  backend:
    "All nodes' QEMU run as the user of SandLabX: a guest that broke out of QEMU could read every disk and the state.",
}
const NETWORK: Record<EngineIsolation['network'], string> = {
  own: 'QEMU is in a network without addresses: no port of this machine answers it.',
  host: 'QEMU is in the network of this machine: a guest that broke out of QEMU would reach its ports.',
}
const CONTAINERS = "Each node's QEMU is in a container of its own, with limits for memory, CPU and processes."
const INTERNET = 'Nodes with internet reach the internet, and nothing of this machine or its networks.'

const HINT: Record<'shared' | 'backend', string> = {
  shared: 'Give the container more user numbers (65,536), or run SandLabX as root on the host.',
  backend:
    'Run SandLabX as root or with Compose: then each node has a user of its own. For your own guests it is fine.',
}
const BROKER_HINT =
  'What runs goes on. Look at `docker compose ps broker` and `docker compose logs broker`, then `docker compose up -d`.'
const NETWORK_HINT = 'Allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`), or run SandLabX as root.'
const INTERNET_HINT = 'Install what is named, or turn internet off for those nodes.'
