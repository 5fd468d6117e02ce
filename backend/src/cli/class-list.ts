import { readFile } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import { numberedName } from '../domain/name-pattern.js'
import type { User } from '../domain/user.js'
import { usersAnswer } from './answers.js'
import type { Client } from './client.js'
import { readCsv } from './csv.js'

/** One row of `--from`, as the API takes it. */
export interface ListedNode {
  name: string
  ownerId?: string
  guestUser?: string
  guestPassword?: string
}

const COLUMNS = ['name', 'owner', 'user', 'password']

/**
 * Reads who gets a node of which name: columns name, owner (a login), user (the guest's account), password (its
 * password); each may be left out, and `name` stands in for a name that is missing, `{n}` for the number of the row.
 * Throws `bad_request` with the line's number.
 */
export async function readClassList(client: Client, file: string, name: string | undefined): Promise<ListedNode[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SandlabError('bad_request', `The list ${file} can't be read.`, { cause: error })
  })
  const rows = readCsv(text)
  const [first] = rows
  if (!first) {
    throw new SandlabError('bad_request', `The list ${file} has no rows.`, {
      hint: 'Its first line names the columns (name, owner, user), each further one is a node.',
    })
  }
  const foreign = Object.keys(first.fields).find((column) => !COLUMNS.includes(column))
  if (foreign !== undefined) {
    throw new SandlabError('bad_request', `The list ${file} has a column "${foreign}" that is not known here.`, {
      hint: `The first line names the columns: ${COLUMNS.join(', ')}.`,
    })
  }
  const users = rows.some(({ fields }) => fields['owner']) ? (await client.get('/api/users', usersAnswer)).users : []
  return rows.map(({ line, fields }, index) => entryOf({ line, fields, number: index + 1 }, name, users))
}

function entryOf(
  { line, fields, number }: { line: number; fields: Record<string, string>; number: number },
  fallback: string | undefined,
  users: readonly User[],
): ListedNode {
  const { owner, user, password } = fields
  const pattern = fields['name'] || fallback
  if (!pattern) {
    throw new SandlabError('bad_request', `Line ${line} has no name.`, { hint: 'Give --name for all of them.' })
  }
  const person = owner ? users.find(({ login }) => login === owner) : undefined
  if (owner && !person) {
    throw new SandlabError('bad_request', `Line ${line}: there is no person "${owner}".`, {
      hint: 'List them with "sandlabx user ls"; make accounts with "sandlabx user add".',
    })
  }
  return {
    name: numberedName(pattern, number),
    ...(person && { ownerId: person.id }),
    ...(user && { guestUser: user }),
    ...(password && { guestPassword: password }),
  }
}
