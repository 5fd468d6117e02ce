import { nodeFromRow, unreadable, userFromRow, type OldNode, type OldUser } from './old-records.js'

/** `COPY public.sandlabx_nodes (id, "name") FROM stdin;` as pg_dump writes it. */
const COPY = /^COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;$/
const TABLES: Record<string, 'nodes' | 'users'> = {
  sandlabx_nodes: 'nodes',
  nodes: 'nodes',
  sandlabx_users: 'users',
  users: 'users',
}

/**
 * The nodes and accounts in a plain `pg_dump` of the later SandLabX. Throws `state_unreadable` for another format, and
 * for one that is cut off. Pure.
 */
export function parseDump(content: string, source: string): { nodes: OldNode[]; users: OldUser[]; skipped: string[] } {
  if (content.trim() === '') throw unreadable(source, 'it is empty')
  if (content.startsWith('PGDMP')) {
    throw unreadable(source, 'it is in pg_dump’s own format; `pg_restore -f plain.sql FILE` makes a plain one')
  }
  const nodes: OldNode[] = []
  const users: OldUser[] = []
  const skipped: string[] = []
  let seen = false
  for (const { table, rows } of copiedRows(content, source)) {
    const kind = TABLES[table]
    if (!kind) continue
    seen = true
    for (const row of rows) {
      const node = kind === 'nodes' ? nodeFromRow(row, source) : undefined
      const user = kind === 'users' ? userFromRow(row, source) : undefined
      if (node) nodes.push(node)
      else if (user) users.push(user)
      else skipped.push(`a row of ${table} in ${source} has no id`)
    }
  }
  if (!seen) {
    throw unreadable(source, 'it holds no data of sandlabx_nodes; make it with `pg_dump --data-only` without --inserts')
  }
  return { nodes, users, skipped }
}

function* copiedRows(content: string, source: string) {
  let open: { table: string; columns: string[]; rows: Record<string, string | null>[] } | undefined
  for (const line of content.replace(/\n$/, '').split('\n')) {
    if (open && line === '\\.') {
      yield open
      open = undefined
    } else if (open) {
      const values = line.split('\t')
      if (values.length !== open.columns.length) throw unreadable(source, `a row of ${open.table} is cut off`)
      open.rows.push(Object.fromEntries(open.columns.map((column, index) => [column, unescape(values[index])])))
    } else {
      const begun = COPY.exec(line.trimEnd())
      if (!begun) continue
      const columns = (begun[2] ?? '').split(',').map((name) => name.trim().replaceAll('"', ''))
      open = { table: begun[1] ?? '', columns, rows: [] }
    }
  }
  if (open) throw unreadable(source, `it ends within ${open.table}`)
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** COPY's text format (PostgreSQL's documentation of COPY, "Text Format"). */
function unescape(value: string | undefined): string | null {
  if (value === undefined || value === '\\N') return null
  return value.replaceAll(/\\(.)/g, (_, sign: string) => ESCAPES[sign] ?? sign)
}
