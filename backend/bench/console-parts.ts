import { randomUUID } from 'node:crypto'
import type { UserId } from '../src/domain/ids.js'
import type { Subject } from '../src/domain/user.js'
import type { NodeEngine } from '../src/hosts/engine.js'

/** Who opens the consoles of the benches. */
export const VIEWER_SUBJECT: Subject = {
  userId: randomUUID() as UserId,
  login: 'bench',
  role: 'student',
  credentialId: 'bench',
  kind: 'session',
  mustChangePassword: false,
}

/** Only what a console asks of an engine while its node stands: where its socket is. */
export function engineAt(protocol: 'vnc' | 'serial', path: string): NodeEngine {
  const parts: Partial<NodeEngine> = {
    console: async () => ({ via: 'unix', protocol, path }),
    serialTail: async () => Buffer.alloc(0),
    inspect: async () => Promise.reject(new Error('not asked for while the console stands')),
    onChange: () => () => {},
  }
  return parts as NodeEngine // the rest is never called
}
