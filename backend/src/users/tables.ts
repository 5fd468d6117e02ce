import type { ColumnType, Generated } from 'kysely'
import type { Role } from '../domain/user.js'

/** The columns as the migrations leave them. Times are timestamptz; `Date` both ways. */
export interface Tables {
  users: UsersTable
  sessions: SessionsTable
  tokens: TokensTable
  audit: AuditTable
  console_visits: ConsoleVisitsTable
}

export interface UsersTable {
  id: string
  login: string
  display_name: string
  role: Role
  disabled: boolean
  must_change_password: boolean
  /** PHC string of argon2id. */
  password_hash: string
  created_at: Date
  last_sign_in_at: Date | null
}

export interface SessionsTable {
  /** Names the session in logs and revocations; not a secret. */
  id: string
  user_id: string
  /** SHA-256 of the cookie's value: the table alone opens nothing. */
  secret_hash: Buffer
  created_at: Date
  last_seen_at: Date
  expires_at: Date
  user_agent: string
  address: string
}

export interface TokensTable {
  id: string
  user_id: string
  name: string
  /** SHA-256 of the token. */
  secret_hash: Buffer
  created_at: Date
  last_used_at: Date | null
}

export interface AuditTable {
  /** Order of writing; a string, because it may outgrow a number. */
  id: Generated<string>
  /** Made by the writer, so that a replayed entry is kept once. */
  key: string
  at: Date
  actor_id: string | null
  actor_login: string
  action: string
  object_type: string | null
  object_id: string | null
  object_name: string | null
  address: string
  result: 'success' | 'failure'
  code: string | null
  request_id: string | null
  details: ColumnType<Record<string, unknown>, string, never>
}

export interface ConsoleVisitsTable {
  id: string
  /** Of the backend's process; what it left open is closed by the next one. */
  run_id: string
  node_id: string
  node_name: string
  user_id: string
  login: string
  kind: string
  engine: string
  mode: string
  address: string
  recorded: boolean
  opened_at: Date
  closed_at: Date | null
  ended: 'closed' | 'lost' | null
}
