import type { ConsoleVisit } from '../domain/console-history.js'
import type { NodeId } from '../domain/ids.js'
import type { ConsoleHistory as ConsoleListener } from '../consoles/history.js'
import type { ConsoleSession } from '../consoles/session.js'
import type { Audit } from '../users/audit.js'
import type { ConsoleHistory } from '../users/console-history.js'

const DAY_MS = 24 * 3600 * 1000

export interface ConsoleVisits extends ConsoleListener {
  /** Ends all that are open: the backend goes. */
  close(): void
}

export interface ConsoleVisitsDependencies {
  history: ConsoleHistory
  audit: Audit
  nodeName: (nodeId: NodeId) => string
}

/** Brings what the consoles tell into the history, and each end into the audit, which has heard of the ticket before. */
export function createConsoleVisits({ history, audit, nodeName }: ConsoleVisitsDependencies): ConsoleVisits {
  const open = new Set<ConsoleSession>()

  function closed(session: ConsoleSession): void {
    if (!open.delete(session)) return
    const visit = history.closed(session.id)
    if (visit) void audit.append(entryOf(visit, session.address))
  }

  return {
    opened(session) {
      open.add(session)
      const { id, nodeId, subject, kind, mode, engine, address, recorded, openedAt } = session
      const who = { userId: subject.userId, login: subject.login, address }
      const what = { kind, mode, engine, recorded, openedAt: openedAt.toISOString() }
      history.opened({ id, nodeId, nodeName: nodeName(nodeId), ...who, ...what })
    },
    closed,
    close() {
      for (const session of open) closed(session)
    },
  }
}

function entryOf(visit: ConsoleVisit, address: string) {
  const { userId, login, nodeId, nodeName, kind, mode, engine, recorded, openedAt, closedAt } = visit
  const seconds = Math.round((Date.parse(closedAt ?? openedAt) - Date.parse(openedAt)) / 1000)
  return {
    actorId: userId,
    actorLogin: login,
    action: 'console.close',
    objectType: 'node',
    objectId: nodeId,
    objectName: nodeName,
    address,
    result: 'success' as const,
    code: null,
    requestId: null,
    details: { kind, mode, engine, recorded, seconds },
  }
}

/** `days` null: nothing is forgotten. Throws `database_down`. */
export async function forgetOldVisits(history: ConsoleHistory, days: number | null): Promise<void> {
  if (days !== null) await history.purge(new Date(Date.now() - days * DAY_MS))
}
