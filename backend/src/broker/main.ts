import { hostname } from 'node:os'
import Docker from 'dockerode'
import { nodeUids } from '../system/identity.js'
import { createBroker } from './broker.js'
import { listen } from './listen.js'
import { findPlace } from './place.js'

/**
 * The one program that holds Docker's socket (`compose.isolated.yml`). The backend reaches it through a socket on a volume
 * that only the two have; it has no network.
 */
const DOCKER_SOCKET = '/var/run/docker.sock'
const OWN_SOCKET = '/run/broker/socket'

async function main(): Promise<void> {
  const docker = new Docker({ socketPath: DOCKER_SOCKET })
  const place = await findPlace(docker, hostname()) // Docker calls a container's host by the container's id
  const uids = nodeUids()
  if (!uids) throw new Error('This container has too few user numbers for a user per node (65,536 are needed).')
  const say = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`)
  const server = await listen(createBroker({ docker, place, uids }), OWN_SOCKET, say)
  say(`The broker of ${place.project} listens.${place.kvm ? ' Nodes get /dev/kvm.' : ''}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      server.close()
      server.closeIdleConnections()
    })
  }
}

try {
  await main()
} catch (error) {
  const said = error instanceof Error ? error.message : String(error)
  process.stderr.write(`The broker can't start: ${said}\n`)
  process.exitCode = 1
}
