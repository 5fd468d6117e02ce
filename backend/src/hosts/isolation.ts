import type { Identity } from '../system/identity.js'
import type { Separation } from '../system/network-namespace.js'
import type { EngineIsolation } from './engine.js'
import type { NodeUsers } from './node-users.js'

/** What keeps a guest that has taken its QEMU over from everything else here. Pure. */
export function isolationOf(
  worker: Identity | undefined,
  users: NodeUsers | undefined,
  separation: Separation,
  internet: EngineIsolation['internet'],
): EngineIsolation {
  return {
    users: users ? 'node' : worker ? 'shared' : 'backend',
    network: separation === 'none' ? 'host' : 'own',
    internet,
  }
}
