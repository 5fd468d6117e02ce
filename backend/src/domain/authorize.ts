import type { UserId } from './ids.js'
import type { Role, Subject } from './user.js'

/** Everything that can be asked for. An object, where there is one, is named by its owner and the owner's role. */
export const ACTIONS = [
  'node.list',
  'node.create',
  'node.createForOthers',
  'node.read',
  'node.update',
  'node.allowInternet',
  'node.power',
  'node.delete',
  'node.console',
  'node.transfer',
  'node.snapshot',
  'node.reset',
  'node.drives',
  'node.record',
  'recording.replay',
  'trash.list',
  'trash.restore',
  'trash.purge',
  'storage.read',
  'storage.manage',
  'image.list',
  'image.manage',
  'operation.list',
  'operation.read',
  'operation.cancel',
  'user.list',
  'user.manage',
  'audit.read',
  'health.read',
  'health.readDetails',
  'metrics.read',
  'settings.manage',
] as const
export type Action = (typeof ACTIONS)[number]

export interface OwnedObject {
  ownerId: UserId
  /** The owner's role; undefined when the owner no longer exists. */
  ownerRole: Role | undefined
}

/**
 * `any`: on every object. `students`: on one's own and on those of students. `own`: on one's own. `no`: never.
 * Classes come later; until then an instructor's students are all students.
 */
type Reach = 'any' | 'students' | 'own' | 'no'

const REACH: Record<Action, Record<Role, Reach>> = {
  'node.list': { student: 'any', instructor: 'any', administrator: 'any' }, // the list itself is filtered by node.read
  'node.create': { student: 'any', instructor: 'any', administrator: 'any' },
  'node.createForOthers': { student: 'no', instructor: 'students', administrator: 'any' },
  'node.read': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.update': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.allowInternet': { student: 'no', instructor: 'students', administrator: 'any' },
  'node.power': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.delete': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.console': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.transfer': { student: 'no', instructor: 'students', administrator: 'any' }, // to and from another SandLabX
  'node.snapshot': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.reset': { student: 'own', instructor: 'students', administrator: 'any' },
  'node.drives': { student: 'no', instructor: 'students', administrator: 'any' }, // they take room; seeing them is node.read
  'node.record': { student: 'no', instructor: 'students', administrator: 'any' }, // whether its consoles are recorded
  'recording.replay': { student: 'no', instructor: 'students', administrator: 'any' }, // and delete; owners see that they exist
  'trash.list': { student: 'any', instructor: 'any', administrator: 'any' }, // filtered by trash.restore
  'trash.restore': { student: 'own', instructor: 'students', administrator: 'any' },
  'trash.purge': { student: 'own', instructor: 'students', administrator: 'any' },
  'storage.read': { student: 'no', instructor: 'any', administrator: 'any' },
  'storage.manage': { student: 'no', instructor: 'no', administrator: 'any' },
  'image.list': { student: 'any', instructor: 'any', administrator: 'any' },
  'image.manage': { student: 'no', instructor: 'any', administrator: 'any' },
  'operation.list': { student: 'any', instructor: 'any', administrator: 'any' }, // filtered by operation.read
  'operation.read': { student: 'own', instructor: 'students', administrator: 'any' },
  'operation.cancel': { student: 'own', instructor: 'students', administrator: 'any' },
  'user.list': { student: 'no', instructor: 'any', administrator: 'any' },
  'user.manage': { student: 'no', instructor: 'no', administrator: 'any' },
  'audit.read': { student: 'no', instructor: 'no', administrator: 'any' },
  'health.read': { student: 'any', instructor: 'any', administrator: 'any' },
  'health.readDetails': { student: 'no', instructor: 'no', administrator: 'any' },
  'metrics.read': { student: 'no', instructor: 'no', administrator: 'any' },
  'settings.manage': { student: 'no', instructor: 'no', administrator: 'any' },
}

/** The only authorization rule. Without an object, asks whether the role can do this at all. */
export function authorize(subject: Pick<Subject, 'userId' | 'role'>, action: Action, object?: OwnedObject): boolean {
  const reach = REACH[action][subject.role]
  if (reach === 'any') return true
  if (reach === 'no') return false
  if (!object) return true
  if (object.ownerId === subject.userId) return true
  return reach === 'students' && object.ownerRole === 'student'
}
