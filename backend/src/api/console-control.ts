import type { ConsoleSession } from '../consoles/session.js'
import type { Services } from './services.js'

const ACTIONS = { 'take-control': 'console.takeControl', 'release-control': 'console.releaseControl' } as const

/** Writes into the audit who took the control of a screen or a serial line, and who handed it back. */
export function recordControl(services: Services, session: ConsoleSession, what: keyof typeof ACTIONS): void {
  const { kind, engine } = session
  append(services, session, ACTIONS[what], { kind, engine })
}

/** Writes into the audit that somebody said: this other host key of the guest is right. */
export function recordTrust(services: Services, session: ConsoleSession, fingerprint: string): void {
  append(services, session, 'console.trustHostKey', { kind: session.kind, fingerprint })
}

function append(services: Services, session: ConsoleSession, action: string, details: Record<string, string>): void {
  const { subject, nodeId, address } = session
  const record = services.lab?.store.data.nodes.find((node) => node.id === nodeId)
  const entry = {
    actorId: subject.userId,
    actorLogin: subject.login,
    action,
    objectType: 'node',
    objectId: nodeId,
    objectName: record?.name ?? null,
    address,
    result: 'success',
    code: null,
    requestId: null,
    details,
  } as const
  void services.audit.append(entry).then(() => services.bus.publish('audit', session.id, null))
}
