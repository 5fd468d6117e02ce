import { NODE_ACTIONS, type NodeView, nodeRefuses } from '@domain/node.js'
import type { Operation } from '@domain/operation.js'
import type { OperationPlan, SpaceNeed } from '@domain/plan.js'
import type { User } from '@domain/user.js'

export const NODE_ID = '11111111-1111-4111-8111-111111111111'
export const SAM_ID = '22222222-2222-4222-8222-222222222222'

/** A node as the API answers it; the actions follow the status, by the domain's own table. */
export function sampleNode(change: Partial<Record<keyof NodeView, unknown>> = {}): NodeView {
  const node = {
    id: NODE_ID,
    name: 'web-07',
    status: 'stopped',
    statusReason: null,
    desired: 'stopped',
    image: 'debian-12',
    imageTitle: 'Debian 12',
    cpus: 2,
    memoryMib: 1024,
    diskBytes: 10 * 1024 ** 3,
    diskUsedBytes: 1024 ** 3,
    overlayPath: `/overlays/node_${NODE_ID}.qcow2`,
    ownerId: SAM_ID,
    ownerLogin: 'sam',
    mac: '52:54:00:00:00:01',
    internet: false,
    guestUser: 'student',
    loginNotes: '',
    createdAt: '2026-11-20T08:00:00.000Z',
    updatedAt: '2026-11-20T08:00:00.000Z',
    startedAt: null,
    accelerator: null,
    lastExit: null,
    snapshotSchedule: null,
    drivesPending: false,
    suspended: null,
    onStop: null,
    recording: null,
    keyboard: null,
    agent: false,
    ...change,
  } as NodeView // the ids are brands over strings
  const actions = NODE_ACTIONS.map((action) => [action, nodeRefuses(action, node.status) ?? null])
  return { ...node, actions: Object.fromEntries(actions) as NodeView['actions'] } // every action is there
}

export function sampleUser(change: Partial<Record<keyof User, unknown>> = {}): User {
  return {
    id: SAM_ID,
    login: 'sam',
    displayName: 'Sam Student',
    role: 'student',
    disabled: false,
    mustChangePassword: false,
    createdAt: '2026-11-01T08:00:00.000Z',
    lastSignInAt: null,
    ...change,
  } as User // the id is a brand over a string
}

export function sampleOperation(change: Partial<Record<keyof Operation, unknown>> = {}): Operation {
  return {
    id: '33333333-3333-4333-8333-333333333333',
    kind: 'image.pull',
    title: 'Download Debian 13',
    state: 'running',
    actorId: SAM_ID,
    actorLogin: 'sam',
    target: { type: 'image', id: 'debian-13' },
    step: 'Downloading',
    progress: 0.5,
    bytesDone: 50,
    bytesTotal: 100,
    log: [],
    error: null,
    cancellable: true,
    startedAt: '2026-11-21T08:00:00.000Z',
    endedAt: null,
    outcome: null,
    resources: [],
    items: [],
    request: null,
    ...change,
  } as Operation // the id is a brand over a string
}

export function samplePlan(change: Partial<OperationPlan> = {}): OperationPlan {
  return {
    kind: 'node.clone',
    title: 'Clone web-07 to web-08',
    steps: ['Make a disk over the shared layer', 'Record the node'],
    space: [sampleSpace()],
    creates: [{ type: 'node', name: 'web-08' }],
    replaces: [],
    files: [],
    warnings: [],
    refusal: null,
    ...change,
  }
}

const GIB = 1024 ** 3

export function sampleSpace(change: Partial<SpaceNeed> = {}): SpaceNeed {
  return {
    path: '/data/overlays',
    requiredBytes: 2 * GIB,
    availableBytes: 40 * GIB,
    reservedBytes: 0,
    keptFreeBytes: 0,
    freeUpBytes: 0,
    ...change,
  }
}
