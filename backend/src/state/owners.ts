import { readFile, rename } from 'node:fs/promises'
import { z } from 'zod'
import { userIdSchema, type UserId } from '../domain/ids.js'
import { ownersFile, type Layout } from '../domain/layout.js'
import { loginSchema, roleSchema, type User } from '../domain/user.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'

const ownerSchema = z.object({ id: userIdSchema, login: loginSchema, displayName: z.string(), role: roleSchema })
export type Owner = z.infer<typeof ownerSchema>

/** `overlays/owners.json`: whose the ids in the records beside the disks are, should the accounts be lost. No secret. */
const ownersSchema = z.object({
  kind: z.literal('sandlabx-owners'),
  schema: z.literal(1),
  owners: z.array(ownerSchema),
})

/** Accounts that were known, oldest first; none when there is no such file, or none that can be read. */
export async function readOwners(layout: Layout): Promise<Owner[]> {
  return (await readIfSound(layout)) ?? []
}

/** The id that an account of this login had before the accounts were lost, unless another account has it; newest first. */
export async function formerIdOf(
  layout: Layout,
  login: string,
  isTaken: (id: UserId) => Promise<boolean>,
): Promise<UserId | undefined> {
  const known = (await readOwners(layout)).filter((owner) => owner.login === login)
  for (const { id } of known.toReversed()) if (!(await isTaken(id))) return id
  return undefined
}

export interface OwnersFile {
  /** Writes them down, soon; who is not among them any more stays known. */
  remember(users: readonly User[]): void
  /** Resolves when all is written. */
  settled(): Promise<void>
}

/** Keeps the file. A write that fails is logged: it must not end what changed an account. */
export function createOwnersFile(layout: Layout, log: Logger): OwnersFile {
  let newest: readonly User[] = []
  let writing: Promise<void> | undefined
  let again = false
  async function write(): Promise<void> {
    do {
      again = false
      await mergeInto(layout, newest).catch((error: unknown) =>
        log.warn({ err: error }, 'the list of owners beside the disks could not be written'),
      )
    } while (again)
    writing = undefined
  }
  return {
    remember(users) {
      newest = users
      again = true
      writing ??= write()
    },
    settled: async () => writing,
  }
}

async function mergeInto(layout: Layout, users: readonly User[]): Promise<void> {
  const path = ownersFile(layout)
  const before = await readIfSound(layout)
  if (before === undefined) await rename(path, `${path}.damaged-${new Date().toISOString().replaceAll(':', '-')}`)
  const merged = new Map((before ?? []).map((owner) => [owner.id, owner]))
  for (const { id, login, displayName, role } of users) merged.set(id, { id, login, displayName, role })
  const owners = [...merged.values()]
  if (JSON.stringify(owners) === JSON.stringify(before)) return
  await writeFileDurably(path, `${JSON.stringify({ kind: 'sandlabx-owners', schema: 1, owners }, undefined, 2)}\n`)
}

/** Undefined when it is there and can't be read. */
async function readIfSound(layout: Layout): Promise<Owner[] | undefined> {
  try {
    return ownersSchema.safeParse(JSON.parse(await readFile(ownersFile(layout), 'utf8'))).data?.owners
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? [] : undefined
  }
}
