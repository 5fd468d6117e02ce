import { SandlabError } from './error.js'
import { nodeNameSchema } from './node.js'

/** `{n}` is the number; each further `n` asks for one more digit, filled up with zeros. */
const PLACE = /\{(n{1,4})\}/g

/**
 * The names that a pattern stands for, counting from 1: `web-{nn}` and 3 → `web-01 web-02 web-03`. With a count of 1 a
 * plain name is a pattern, too. Throws `bad_request` for one that gives several nodes the same name, or no node name.
 */
export function expandNames(pattern: string, count: number): string[] {
  if (count > 1 && pattern.replaceAll(PLACE, '') === pattern) {
    throw new SandlabError('bad_request', `The name ${pattern} would be given to ${count} nodes.`, {
      hint: `Put {n} where the number belongs: ${pattern.slice(0, 50)}-{n}.`,
    })
  }
  return Array.from({ length: count }, (_, index) => numberedName(pattern, index + 1))
}

/** The name with that number. Throws `bad_request` when it is no node name. */
export function numberedName(pattern: string, number: number): string {
  const name = pattern.replaceAll(PLACE, (_, digits: string) => String(number).padStart(digits.length, '0'))
  const parsed = nodeNameSchema.safeParse(name)
  if (parsed.success) return parsed.data
  throw new SandlabError('bad_request', `"${name}" is no name for a node.`, {
    hint: `A name has ${parsed.error.issues[0]?.message ?? 'lower-case letters, digits and dashes'}.`,
  })
}
