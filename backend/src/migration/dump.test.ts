import { describe, expect, it } from '@jest/globals'
import { parseDump } from './dump.js'

const HEAD = `--
-- PostgreSQL database dump
--
SET statement_timeout = 0;
`
const NODES =
  'COPY public.sandlabx_nodes (id, name, os_type, overlay_path, ram_mb, cpu_cores, image_metadata, user_id, created_at) FROM stdin;\n'

describe('a dump of the later database', () => {
  it('gives nodes and accounts, with what COPY escapes', () => {
    const dump = `${HEAD}${NODES}0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01\tWeb\\tone\talpine\t/overlays/node_0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01.qcow2\t512\t2\t\\N\t7\t2026-07-18 10:11:12.5+00
\\.

COPY public.sandlabx_users (id, email, role, password_hash) FROM stdin;
7\tAnn.Miller@school.example\tinstructor\tpbkdf2$1
\\.
COPY public.other (id) FROM stdin;
x
\\.
`
    const { nodes, users, skipped } = parseDump(dump, 'old.sql')
    expect(nodes).toHaveLength(1)
    expect(nodes[0]).toMatchObject({
      name: 'Web\tone',
      osType: 'alpine',
      memoryMib: 512,
      cpus: 2,
      userId: '7',
      createdAt: '2026-07-18T10:11:12.500Z',
      diskFile: 'node_0b2f7a36-31f4-4a3e-9c53-1d5f2b1f7a01.qcow2',
    })
    expect(users[0]).toMatchObject({ oldId: '7', email: 'Ann.Miller@school.example', role: 'instructor' })
    expect(skipped).toEqual([])
  })

  it.each([
    ['empty', '', 'it is empty'],
    ['of another format', 'PGDMP\0\0', 'pg_restore'],
    ['cut off within a table', `${HEAD}${NODES}`, 'it ends within sandlabx_nodes'],
    ['cut off within a row', `${HEAD}${NODES}0b2f7a36\tWeb\n\\.\n`, 'a row of sandlabx_nodes is cut off'],
    ['without our tables', HEAD, 'no data of sandlabx_nodes'],
  ])('is refused with the next step when it is %s', (_, content, reason) => {
    expect(() => parseDump(content, 'old.sql')).toThrow(expect.objectContaining({ code: 'state_unreadable' }))
    expect(() => parseDump(content, 'old.sql')).toThrow(reason)
  })
})
