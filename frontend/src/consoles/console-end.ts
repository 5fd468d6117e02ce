import { CLOSE } from '@domain/console-codes.js'
import { codeOf, messageOf } from './console-api.js'

/** What can be done about a console that has ended for good. */
export type NextStep = 'start' | 'sign-in' | 'retry' | 'again' | 'none'

/** What follows when a console's connection ends or can't be opened. */
export type Outcome =
  | { follow: 'retry'; reason: string }
  | { follow: 'stop'; reason: string; next: NextStep }
  /** The node does not run, as far as the server saw at that moment. */
  | { follow: 'node-stopped' }

const BACKOFF_MS = [1000, 2000, 4000, 8000, 15_000]

/** How long to wait before the next try; `attempt` counts from 0. */
export function retryDelayMs(attempt: number): number {
  return BACKOFF_MS[attempt] ?? 15_000
}

const RETRY = 'The connection is lost.'

/** By the WebSocket's close code. */
export function afterClose(code: number): Outcome {
  switch (code) {
    case CLOSE.badTicket:
      return { follow: 'stop', next: 'sign-in', reason: 'You are signed out.' }
    case CLOSE.notAllowed:
      return { follow: 'stop', next: 'none', reason: 'You may not use this console any more.' }
    case CLOSE.notRunning:
      return { follow: 'node-stopped' }
    case CLOSE.takenOver:
      return { follow: 'stop', next: 'retry', reason: 'Somebody else has taken this console over.' }
    case CLOSE.tooManyViewers:
      return { follow: 'stop', next: 'retry', reason: 'Too many people have consoles of this node open.' }
    case CLOSE.finished:
      return { follow: 'stop', next: 'again', reason: 'The SSH session has ended.' }
    case CLOSE.reopen:
      return { follow: 'retry', reason: 'Recording was switched. The console comes back.' }
    case CLOSE.unavailable:
      return { follow: 'retry', reason: 'The node’s console does not answer.' }
    case 1001:
      return { follow: 'retry', reason: 'SandLabX is restarting. The node goes on.' }
    case 1008:
    case 1009:
      return { follow: 'stop', next: 'retry', reason: 'The server refused what this page sent. Reload the page.' }
    default:
      return { follow: 'retry', reason: RETRY }
  }
}

/** By the error that asking for a ticket ended with. */
export function afterRefusal(error: unknown): Outcome {
  const reason = messageOf(error)
  switch (codeOf(error)) {
    case 'not_signed_in':
    case 'account_disabled':
    case 'password_change_required':
      return { follow: 'stop', next: 'sign-in', reason }
    case 'not_found':
    case 'unsupported':
    case 'not_allowed':
      return { follow: 'stop', next: 'none', reason }
    case 'console_not_available':
      return { follow: 'node-stopped' }
    case 'too_many_viewers':
      return { follow: 'stop', next: 'retry', reason }
    case 'unreachable':
      return { follow: 'retry', reason: RETRY }
    default:
      return { follow: 'retry', reason }
  }
}
