import { randomBytes } from 'node:crypto'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { AddFromConfig, AttachStorage, Orphan } from '../../domain/storage.js'
import { imageOf, recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { entryOf } from '../../nodes/create.js'
import { generatePassword } from '../../nodes/guest-password.js'
import { usedBytes } from '../../storage/overlays.js'
import { measureSpace, noSpace } from '../../storage/space.js'
import { hashGuestPasswords } from '../../system/crypt-password.js'
import { errorOf } from '../../transactions/operation-record.js'
import { prepareAdd } from './add.js'
import { beginAttach, titleOf } from './attach.js'
import type { AttachIntent } from './attach-intent.js'
import { prepareAttach, type AttachRights } from './attach-prepare.js'
import { printNodeConfig } from './config-yaml.js'
import { discardOrphan, planDiscard } from './discard.js'
import { findOrphans, listOrphans, type FoundOrphan } from './orphans.js'
import { refusalIn } from '../refusal-in.js'
import { readStoragePath } from './storage-path.js'

/** Disks that no record names: found, attached again, or moved to the trash. And nodes as text. */
export interface Orphans {
  list(): Promise<{ orphans: Orphan[]; totalBytes: number }>
  /** The orphan of this path, with what the record beside it tells. */
  find(path: string): Promise<FoundOrphan | undefined>
  attach(request: AttachStorage, actor: Actor, rights: AttachRights): Promise<Operation>
  planAttach(request: AttachStorage, actor: Actor, rights: AttachRights): Promise<OperationPlan>
  /** A node as its YAML says. */
  add(request: AddFromConfig, actor: Actor, rights: AttachRights): Promise<Operation>
  planAdd(request: AddFromConfig, actor: Actor, rights: AttachRights): Promise<OperationPlan>
  /** To the trash. */
  discard(path: string, actor: Actor): Promise<Operation>
  planDiscard(path: string, actor: Actor): Promise<OperationPlan>
  /** A node as YAML. Throws `not_found`. */
  configOf(nodeId: string): string
}

export function createOrphans(context: NodesContext): Orphans {
  const { layout } = context
  const attaching = (request: AttachStorage, actor: Actor, rights: AttachRights) => () =>
    prepareAttach(context, request, actor, rights)
  const adding = (request: AddFromConfig, actor: Actor, rights: AttachRights) => () =>
    prepareAdd(context, request, actor, rights)
  return {
    list: () => listOrphans(context),
    async find(path) {
      const { shown } = readStoragePath(layout, path)
      return (await findOrphans(context)).find(({ disk }) => disk.path === shown)
    },
    attach: (request, actor, rights) => begin(context, attaching(request, actor, rights), actor),
    planAttach: (request, actor, rights) => plan(context, attaching(request, actor, rights), request.path),
    add: (request, actor, rights) => begin(context, adding(request, actor, rights), actor),
    planAdd: (request, actor, rights) => plan(context, adding(request, actor, rights), 'a configuration'),
    discard: (path, actor) => discardOrphan(context, path, actor),
    planDiscard: (path, actor) => planDiscard(context, path, actor),
    configOf(nodeId) {
      const record = recordOf(context, nodeId)
      return printNodeConfig(layout, record, imageOf(context, record.imageId))
    },
  }
}

/** Back as soon as it has begun. A request that came before with the same key is answered with what it began. */
async function begin(context: NodesContext, prepare: () => Promise<AttachIntent>, actor: Actor): Promise<Operation> {
  const before = context.transactions.earlier(actor)
  if (before) return before.operation
  const prepared = await prepare()
  const password = generatedFor(context, prepared)
  const [passwordHash = null] = await hashGuestPasswords([password])
  const guest = { ...prepared.record.guest, ...(passwordHash !== null && { passwordHash }) }
  const intent = { ...prepared, record: { ...prepared.record, guest } }
  const earlier = context.transactions.earlier(actor) // a request that came at the same time
  if (earlier) return earlier.operation
  const operation = beginAttach(context, intent, actor.request ?? null)
  context.guestPasswords.add(operation.id, entryOf(context, intent.record, password))
  return operation
}

/**
 * A guest that has no password on record would lock its account when it does its first-boot steps again, as a new machine
 * does: so it gets one, which is told once.
 */
function generatedFor(context: NodesContext, { record }: AttachIntent): string | null {
  const isLocked = record.guest.passwordHash === null && record.guest.sshKeys.length === 0
  return isLocked && imageOf(context, record.imageId)?.cloudInit === true ? generatePassword(randomBytes(32)) : null
}

async function plan(context: NodesContext, prepare: () => Promise<AttachIntent>, what: string): Promise<OperationPlan> {
  const { value: intent, refusal } = await refusalIn(prepare)
  const space = intent ? await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }]) : []
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const why = refusal ?? (short && intent ? noSpace(short, titleOf(intent).toLowerCase()) : null)
  return {
    kind: 'node.attach',
    title: intent ? titleOf(intent) : `Attach ${what.slice(0, 300)}`,
    steps: intent ? stepsOf(intent) : [],
    space,
    creates: intent ? createsOf(intent) : [],
    replaces: [],
    files: intent && intent.path !== '' ? [await fileOf(intent)] : [],
    warnings: intent?.warnings ?? [],
    refusal: why && errorOf(why),
  }
}

async function fileOf({ path, shown, way }: AttachIntent): Promise<OperationPlan['files'][number]> {
  return { path: shown, bytes: (await usedBytes(path)) ?? 0, fate: FATES[way] }
}

const FATES: Record<AttachIntent['way'], string> = {
  keep: 'becomes the disk of the node',
  rename: 'becomes the disk of the node',
  layer: 'is not changed: the node has a fresh disk over it',
  convert: 'stays as it is: the node has a clean copy',
  copy: 'stays as it is: the node has a copy',
  fresh: '',
}

function stepsOf({ way, newDrives, rebase, start }: AttachIntent): string[] {
  const first = {
    keep: 'Take the disk as it is',
    rename: "Give the disk the node's name",
    layer: 'Make a fresh disk over the snapshot',
    convert: 'Convert the disk to a clean copy',
    copy: 'Copy the disk',
    fresh: 'Make a fresh disk over the base image',
  } satisfies Record<AttachIntent['way'], string>
  return [
    first[way],
    ...(rebase ? ['Let its header name the base image as it is called here'] : []),
    ...(newDrives.length > 0 ? [`Make the drives ${newDrives.join(', ')}`] : []),
    'Record the node',
    ...(start ? ['Start it'] : []),
  ]
}

function createsOf({ record, snapshots, newDrives }: AttachIntent): OperationPlan['creates'] {
  return [
    { type: 'node', name: record.name },
    ...snapshots.map(({ name }) => ({ type: 'snapshot' as const, name })),
    ...newDrives.map((name) => ({ type: 'drive' as const, name })),
  ]
}
