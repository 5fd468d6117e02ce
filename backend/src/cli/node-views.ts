import type { NodeView } from '../domain/node.js'
import { formatBytes, MIB } from '../domain/units.js'
import { localTime } from './text.js'

export const NODE_COLUMNS = ['NAME', 'STATUS', 'OWNER', 'IMAGE', 'CPUS', 'MEMORY', 'DISK', 'ID']

export function nodeRow(node: NodeView): string[] {
  return [
    node.name,
    node.status,
    node.ownerLogin,
    node.image,
    String(node.cpus),
    formatBytes(node.memoryMib * MIB),
    formatBytes(node.diskBytes),
    node.id,
  ]
}

export function nodeFacts(node: NodeView): [string, string][] {
  const used = node.diskUsedBytes === null ? 'unknown' : formatBytes(node.diskUsedBytes)
  const facts: [string, string | null][] = [
    ['Name', node.name],
    ['Status', node.status],
    ['Reason', node.statusReason],
    ['Owner', node.ownerLogin],
    ['Image', `${node.image} (${node.imageTitle})`],
    ['CPUs', String(node.cpus)],
    ['Memory', formatBytes(node.memoryMib * MIB)],
    ['Disk', `${formatBytes(node.diskBytes)}, ${used} used`],
    ['Overlay', node.overlayPath],
    ['Network', `${node.mac}, ${node.internet ? 'reaches the internet' : 'no internet'}`],
    ['Guest agent', node.agent ? 'has a port' : null],
    ['Sign in', node.loginNotes || `as ${node.guestUser}`],
    ['Guest user', node.guestUser],
    ['Suspended', node.suspended && `${formatBytes(node.suspended.sizeBytes)} saved ${localTime(node.suspended.at)}`],
    ['On stop', node.onStop && `${node.onStop}, whatever holds for all`],
    ['Drives', node.drivesPending ? 'changed; the guest has them like this from its next start on' : null],
    ['Running since', node.startedAt && `${localTime(node.startedAt)}, ${node.accelerator ?? 'unknown'} accelerator`],
    ['Last end', node.lastExit && `${localTime(node.lastExit.at)}: ${node.lastExit.reason} (${node.lastExit.how})`],
    ['Created', localTime(node.createdAt)],
    ['Id', node.id],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== null && fact[1] !== '')
}
