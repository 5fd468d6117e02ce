import { guestUserSchema, nodeNameSchema } from '@domain/node.js'
import { splitLine } from '../../../util/csv.js'
import { problemsOf } from '../../../util/validate.js'

/** One node of a list: as it was written, who it is for, and what is wrong with it. */
export interface ListedNode {
  /** In the text, from 1. */
  line: number
  name: string
  owner: string
  guestUser: string
  /** Undefined: whoever asks. */
  ownerId: string | undefined
  faults: string[]
}

export interface Person {
  id: string
  login: string
}

export const MOST_NODES = 500

type Column = 'name' | 'owner' | 'guestUser'
const ORDER: readonly Column[] = ['name', 'owner', 'guestUser']
const HEADS: Record<string, Column> = {
  name: 'name',
  node: 'name',
  owner: 'owner',
  login: 'owner',
  student: 'owner',
  guestuser: 'guestUser',
  user: 'guestUser',
}

/**
 * One node a line: name, owner's login, guest's user; the last two may be absent. A first line with the columns' names
 * sets their order. Empty lines and those that begin with `#` say nothing.
 */
export function readNodeList(text: string, people: readonly Person[]): ListedNode[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .map((content, index) => ({ line: index + 1, content: content.trim() }))
    .filter(({ content }) => content !== '' && !content.startsWith('#'))
  const heads = columnsOf(lines[0]?.content ?? '')
  const byLogin = new Map(people.map(({ login, id }) => [login, id]))
  const seen = new Map<string, number>()
  return lines.slice(heads ? 1 : 0).map(({ line, content }, index) => {
    const fields = splitLine(content)
    const field = (column: Column) => fields[(heads ?? ORDER).indexOf(column)] ?? ''
    const owner = field('owner')
    const node: ListedNode = {
      line,
      name: field('name'),
      owner,
      guestUser: field('guestUser'),
      ownerId: byLogin.get(owner),
      faults: [],
    }
    node.faults = faultsOf(node, index, seen)
    return node
  })
}

function columnsOf(first: string): Column[] | null {
  const columns = splitLine(first).map((name) => HEADS[name.toLowerCase().replaceAll(/[\s_-]/g, '')])
  return columns.includes('name') && columns.every((column) => column !== undefined) ? columns : null
}

function faultsOf(node: ListedNode, index: number, seen: Map<string, number>): string[] {
  const faults: string[] = []
  if (index >= MOST_NODES) faults.push(`More than ${MOST_NODES} nodes at once`)
  if (node.name === '') faults.push('The name is missing')
  else faults.push(...Object.values(problemsOf(nodeNameSchema, node.name)).map((fault) => `Name: ${lowerFirst(fault)}`))
  if (node.owner !== '' && node.ownerId === undefined) {
    faults.push(`You can’t create nodes for “${node.owner}”: no such account, or not one of yours`)
  }
  if (node.guestUser !== '') {
    const problems = Object.values(problemsOf(guestUserSchema, node.guestUser))
    faults.push(...problems.map((fault) => `Guest user: ${lowerFirst(fault)}`))
  }
  const owned = `${node.ownerId ?? ''} ${node.name}`
  const before = seen.get(owned)
  if (before !== undefined) faults.push(`The same as line ${before}`)
  else seen.set(owned, node.line)
  return faults
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}

/** A line for each person: `web-sam-s, sam.s`. */
export function listFor(people: readonly Person[], stem: string): string {
  return people.map(({ login }) => `${hostName(`${stem}-${login}`)}, ${login}`).join('\n')
}

function hostName(text: string): string {
  return text
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/-+$/, '')
}
