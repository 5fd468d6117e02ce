/** Every expected failure has a code from this table; it decides the HTTP status and the CLI's exit code. */
export const ERROR_CODES = {
  // 400: malformed
  bad_request: { status: 400, exit: 2 },
  unknown_field: { status: 400, exit: 2 },
  bad_json: { status: 400, exit: 2 },
  // 401 and 403: who you are, what you may do
  not_signed_in: { status: 401, exit: 1 },
  bad_credentials: { status: 401, exit: 1 },
  account_disabled: { status: 401, exit: 1 },
  not_allowed: { status: 403, exit: 1 },
  foreign_origin: { status: 403, exit: 1 },
  bad_ticket: { status: 403, exit: 1 },
  password_change_required: { status: 403, exit: 1 },
  // 404: absent, or not yours
  not_found: { status: 404, exit: 1 },
  // 409: conflicts with what is running or exists
  name_taken: { status: 409, exit: 1 },
  wrong_status: { status: 409, exit: 1 },
  busy: { status: 409, exit: 1 },
  /** An Idempotency-Key that came with another request before. */
  key_reused: { status: 409, exit: 1 },
  snapshot_in_use: { status: 409, exit: 1 },
  drive_exists: { status: 409, exit: 1 },
  storage_in_use: { status: 409, exit: 1 },
  layer_in_use: { status: 409, exit: 1 },
  image_in_use: { status: 409, exit: 1 },
  image_exists: { status: 409, exit: 1 },
  last_administrator: { status: 409, exit: 1 },
  console_not_available: { status: 409, exit: 1 },
  too_many_viewers: { status: 409, exit: 1 },
  // 413, 422: too large; understood but refused
  too_large: { status: 413, exit: 1 },
  image_refused: { status: 422, exit: 1 },
  image_damaged: { status: 422, exit: 1 },
  disk_too_small: { status: 422, exit: 1 },
  weak_password: { status: 422, exit: 1 },
  checksum_mismatch: { status: 422, exit: 1 },
  node_broken: { status: 422, exit: 3 },
  /** The disk file that was named is not there. */
  storage_not_found: { status: 404, exit: 1 },
  /** It names another file than the one that is attached. */
  config_mismatch: { status: 422, exit: 1 },
  /** YAML that can't be read, or that asks for what is not allowed. */
  bad_node_config: { status: 422, exit: 2 },
  hostile_header: { status: 422, exit: 1 },
  test_boot_failed: { status: 422, exit: 3 },
  chain_broken: { status: 422, exit: 3 },
  base_missing: { status: 422, exit: 3 },
  path_not_allowed: { status: 403, exit: 1 },
  unsupported: { status: 422, exit: 1 },
  quota_reached: { status: 422, exit: 1 },
  // 429, 503, 507: slow down; not ready; no room
  too_many_requests: { status: 429, exit: 1 },
  starting_up: { status: 503, exit: 1 },
  safe_mode: { status: 503, exit: 3 },
  database_down: { status: 503, exit: 1 },
  engine_failed: { status: 503, exit: 1 },
  engine_unknown: { status: 503, exit: 1 },
  /** Another SandLabX did not answer, or refused. */
  remote_failed: { status: 503, exit: 1 },
  download_failed: { status: 503, exit: 1 },
  build_failed: { status: 503, exit: 1 },
  /** The command line got no answer from a backend; never sent over HTTP. */
  unreachable: { status: 503, exit: 1 },
  no_capacity: { status: 507, exit: 1 },
  no_space: { status: 507, exit: 1 },
  // Processes that can't go on
  state_locked: { status: 503, exit: 75 },
  state_newer: { status: 503, exit: 78 },
  state_unreadable: { status: 503, exit: 78 },
  state_io: { status: 503, exit: 74 },
  bad_config: { status: 503, exit: 78 },
  missing_tool: { status: 503, exit: 1 },
  cancelled: { status: 409, exit: 130 },
  internal: { status: 500, exit: 1 },
} as const satisfies Record<string, { status: number; exit: number }>

export type ErrorCode = keyof typeof ERROR_CODES

/** Of a server that may be newer than we are: what is not in the table is `internal` here. */
export function knownCode(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'internal' // its keys are the codes
}

export interface ErrorExtras {
  /** The next step, as one sentence. */
  hint?: string | undefined
  /** Figures and names that a program can use; JSON. */
  details?: Record<string, unknown> | undefined
  /** What went wrong one layer below; logged, never sent. */
  cause?: unknown
}

/** An expected failure. The message says what was tried on which thing; the cause is chained, never pasted in. */
export class SandlabError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, { cause: extras.cause })
    this.name = 'SandlabError'
    this.code = code
    this.hint = extras.hint
    this.details = extras.details
  }
}

/** The body of every error response under `/api`. */
export interface ErrorBody {
  error: {
    code: ErrorCode
    message: string
    hint?: string | undefined
    details?: Record<string, unknown> | undefined
    requestId?: string | undefined
  }
}

export function isSandlabError(error: unknown, code?: ErrorCode): error is SandlabError {
  return error instanceof SandlabError && (code === undefined || error.code === code)
}
