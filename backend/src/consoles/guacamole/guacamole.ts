import type { HealthCheck } from '../../domain/health.js'
import { guacdDoorsDir, type Layout } from '../../domain/layout.js'
import type { Identity } from '../../system/identity.js'
import type { Logger } from '../../system/log.js'
import { createGateway, type GatewayOptions, type GuacamoleGateway } from './gateway.js'
import { type Guacd, watchGuacd } from './guacd.js'
import { prepareDoors } from './vnc-door.js'

/** Everything that shows a screen through guacd, and whether it can now. */
export interface Guacamole {
  readonly layout: Layout
  readonly gateway: GuacamoleGateway
  /** What is known of guacd, without looking. */
  readonly isAnswering: boolean
  /** It was set up, or a guacd has answered since the start: people are told when it does not. */
  readonly isExpected: boolean
  /** Looks now. When it can't: why, as a sentence for people. */
  available(): Promise<{ ok: true } | { ok: false; reason: string }>
  /** guacd answers and does not reach our sockets: for a while it is not offered. */
  stranded(): void
  /** It can again, or can't any more. */
  onChange(listener: (answers: boolean) => void): void
  health(): Promise<Pick<HealthCheck, 'state' | 'message' | 'hint'>>
  close(): void
}

export interface GuacamoleOptions {
  /** `isNamed`: somebody said where it is, so its absence is told. */
  guacd: { host: string; port: number; isNamed: boolean }
  layout: Layout
  log: Logger
  identity: Identity | undefined
  pingIntervalMs?: number
  /** How often guacd is looked at. */
  intervalMs?: number
  gateway?: Pick<GatewayOptions, 'program' | 'timing'>
}

const PING_INTERVAL_MS = 20_000
const STRANDED_MS = 60_000

export async function createGuacamole(options: GuacamoleOptions): Promise<Guacamole> {
  const { layout, log } = options
  const guacd: Guacd = watchGuacd(options.guacd, options.intervalMs)
  const where = `${guacd.host}:${guacd.port}`
  const gateway = createGateway({
    guacd: options.guacd,
    log,
    identity: options.identity,
    pingIntervalMs: options.pingIntervalMs ?? PING_INTERVAL_MS,
    ...options.gateway,
  })
  const doors = await prepareDoors(layout).then(
    () => null,
    (error: unknown) => {
      log.warn({ err: error }, 'no place for the sockets that guacd connects to')
      return `${guacdDoorsDir(layout)} can't be made.`
    },
  )
  let isExpected = options.guacd.isNamed
  let strandedAtMs = -STRANDED_MS
  const isStranded = () => performance.now() - strandedAtMs < STRANDED_MS
  guacd.onChange((answers) => {
    isExpected ||= answers
    log.info({ guacd: where, answers }, answers ? 'guacd answers' : 'guacd does not answer')
    if (answers && doors === null) void gateway.ready() // so that the first picture does not wait for it
  })

  async function available(): Promise<{ ok: true } | { ok: false; reason: string }> {
    if (doors !== null) return { ok: false, reason: doors }
    if (!(await guacd.look())) return { ok: false, reason: `No guacd answers at ${where}.` }
    if (isStranded()) return { ok: false, reason: `The guacd at ${where} does not reach the screens' sockets.` }
    if (!(await gateway.ready())) return { ok: false, reason: 'The Guacamole gateway is restarting.' }
    return { ok: true }
  }

  return {
    layout,
    gateway,
    get isAnswering() {
      return guacd.answers
    },
    get isExpected() {
      return isExpected
    },
    available,
    stranded() {
      strandedAtMs = performance.now()
      log.warn({ folder: guacdDoorsDir(layout) }, 'guacd answers and does not come to the socket of a screen')
    },
    onChange: (listener) => guacd.onChange((answers) => listener(answers && !isStranded())),
    async health() {
      const found = await available()
      if (found.ok) return { state: 'ok', message: `The guacd at ${where} answers; screens go through it.`, hint: null }
      const message = `${found.reason} Screens go through the direct console (noVNC), which needs none.`
      if (!isStranded()) return { state: 'ok', message, hint: null }
      const hint = `Let guacd's user enter ${guacdDoorsDir(layout)} under this very path.`
      return { state: 'warning', message, hint }
    },
    close() {
      guacd.close()
      gateway.close()
    },
  }
}
