import { isSandlabError } from '@domain/error.js'
import { expandNames } from '@domain/name-pattern.js'
import { cloneNodeSchema } from '@domain/node.js'
import type { CloneRequest } from '../api/clones.js'
import { hasNumber } from '../util/name-pattern.js'
import { problemsOf } from '../util/validate.js'

/** What the clone dialog holds. */
export interface CloneForm {
  name: string
  count: number
  kind: 'linked' | 'full'
  /** The name of a snapshot; empty: the disk as it is now. */
  snapshot: string
  ownerId: string
  snapshotFirst: boolean
  start: boolean
  /** The node of that name moves to the trash. */
  replace: boolean
  elsewhere: boolean
  url: string
  token: string
}

export const MOST_AT_ONCE = 500

/** Only what was asked for: what is absent is as the server has it. Elsewhere goes one node, and its token owns it. */
export function cloneRequest(form: CloneForm, sourceOwnerId: string): CloneRequest {
  const { name, count, ownerId, url, token } = form
  const common = {
    name,
    ...(form.snapshot ? { snapshot: form.snapshot } : {}),
    ...(form.start ? { start: true } : {}),
    ...(form.replace ? { force: true } : {}),
  }
  if (form.elsewhere) return { ...common, to: { url: url.trim(), token: token.trim() } }
  return {
    ...common,
    count,
    full: form.kind === 'full',
    ...(form.snapshotFirst ? { snapshotFirst: true } : {}),
    ...(ownerId === sourceOwnerId ? {} : { ownerId }),
  }
}

/** By field what is wrong with it, as a sentence; empty when the server can be asked. */
export function cloneProblems(form: CloneForm, sourceOwnerId: string): Record<string, string> {
  const problems = problemsOf(cloneNodeSchema, cloneRequest(form, sourceOwnerId))
  const name = nameProblem(form.name, form.count)
  if (name) problems['name'] = name
  else delete problems['name']
  if (form.elsewhere && problems['to.url']) problems['to.url'] = 'Write its address, such as https://lab.example.org'
  if (form.elsewhere && problems['to.token']) problems['to.token'] = 'Make a token there, under “My account”'
  return problems
}

/** Why these can't be the names; undefined when they can. */
export function nameProblem(name: string, count: number): string | undefined {
  if (count > 1 && !hasNumber(name)) return 'Needs {n} where the number goes, such as web-{n}'
  try {
    expandNames(name, count)
    return undefined
  } catch (error) {
    if (isSandlabError(error)) return error.hint ?? error.message
    throw error
  }
}
