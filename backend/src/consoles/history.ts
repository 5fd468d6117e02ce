import type { ConsoleSession } from './session.js'

/**
 * Hears of every console that is opened and closed: who, of which node, of which kind, since when (`openedAt`). Called
 * once each, in this order, before anything else is done for the session and after everything was. Must not throw, and
 * must not be waited for.
 */
export interface ConsoleHistory {
  opened(session: ConsoleSession): void
  closed(session: ConsoleSession): void
}
