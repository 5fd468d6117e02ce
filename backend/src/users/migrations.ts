import { sql, type Migration, type QueryExecutorProvider } from 'kysely'

/**
 * The database's schema, step by step. Append only: a step that any server may have taken is never changed. Imported
 * statically, so nothing is looked for on disk.
 */
export const MIGRATIONS: Record<string, Migration> = {
  '0001_people': {
    up: (database) =>
      runAll(database, [
        `create table users (
          id uuid primary key,
          login text not null unique,
          display_name text not null,
          role text not null check (role in ('student', 'instructor', 'administrator')),
          disabled boolean not null,
          must_change_password boolean not null,
          password_hash text not null,
          created_at timestamptz not null,
          last_sign_in_at timestamptz
        )`,
        `create table sessions (
          id uuid primary key,
          user_id uuid not null references users on delete cascade,
          secret_hash bytea not null unique check (length(secret_hash) = 32),
          created_at timestamptz not null,
          last_seen_at timestamptz not null,
          expires_at timestamptz not null,
          user_agent text not null,
          address text not null
        )`,
        'create index sessions_of_user on sessions (user_id, created_at)',
        `create table tokens (
          id uuid primary key,
          user_id uuid not null references users on delete cascade,
          name text not null,
          secret_hash bytea not null unique check (length(secret_hash) = 32),
          created_at timestamptz not null,
          last_used_at timestamptz,
          unique (user_id, name)
        )`,
      ]),
  },
  '0002_audit': {
    up: (database) =>
      runAll(database, [
        `create table audit (
          id bigint generated always as identity primary key,
          key uuid not null unique,
          at timestamptz not null,
          actor_id text,
          actor_login text not null,
          action text not null,
          object_type text,
          object_id text,
          object_name text,
          address text not null,
          result text not null check (result in ('success', 'failure')),
          code text,
          request_id text,
          details jsonb not null
        )`,
        'create index audit_by_actor on audit (actor_login, id)',
        'create index audit_by_action on audit (action, id)',
        'create index audit_by_object on audit (object_id, id)',
        // What was done stays written: not even the application can change or remove a line.
        `create function refuse_audit_change() returns trigger language plpgsql as
          $$ begin raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege'; end $$`,
        `create trigger audit_is_append_only before update or delete on audit
          for each row execute function refuse_audit_change()`,
        `create trigger audit_is_not_emptied before truncate on audit
          for each statement execute function refuse_audit_change()`,
      ]),
  },
  '0003_console_history': {
    up: (database) =>
      runAll(database, [
        `create table console_visits (
          id uuid primary key,
          run_id uuid not null,
          node_id text not null,
          node_name text not null,
          user_id text not null,
          login text not null,
          kind text not null,
          engine text not null,
          mode text not null,
          address text not null,
          recorded boolean not null,
          opened_at timestamptz not null,
          closed_at timestamptz,
          ended text check (ended in ('closed', 'lost')),
          check ((closed_at is null) = (ended is null))
        )`,
        'create index console_visits_of_node on console_visits (node_id, opened_at, id)',
        'create index console_visits_open on console_visits (run_id) where closed_at is null',
        'create index console_visits_by_age on console_visits (opened_at)',
      ]),
  },
}

async function runAll(database: QueryExecutorProvider, statements: string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(database)
}
