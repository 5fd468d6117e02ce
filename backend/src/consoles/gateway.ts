import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import {
  CLOSE,
  CONSOLE_PATH,
  type ConsoleKind,
  type ConsoleMode,
  type ConsoleTicket,
  type ScreenEngine,
  TICKET_LIFETIME_MS,
  type Viewer,
  type WantedEngine,
} from '../domain/console.js'
import { SandlabError } from '../domain/error.js'
import type { HealthCheck } from '../domain/health.js'
import type { NodeId } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'
import type { NodeEngine } from '../hosts/engine.js'
import type { Logger } from '../system/log.js'
import type { ConsoleHistory } from './history.js'
import type { Guacamole } from './guacamole/guacamole.js'
import type { Upgrade } from './guacamole/gateway.js'
import { type GuacamoleRelay, type GuacamoleRelayOptions, relayThroughGuacd } from './guacamole/guacamole-relay.js'
import type { EndCause } from './node-running.js'
import { createPresence } from './presence.js'
import { crowding } from './crowding.js'
import type { Recordings } from './recording/recordings.js'
import { relayScreen } from './screen-relay.js'
import { openSshConsole, type SshDependencies } from './ssh/ssh-console.js'
import { createScreenControls } from './screen-control.js'
import { createSerialHub, type SerialHub } from './serial-hub.js'
import type { ConsoleSession } from './session.js'
import { createTickets, type TicketClaims } from './tickets.js'
import { refuseUpgrade } from './upgrade-refusal.js'
import { type ViewerSocket, viewerSocket } from './viewer-socket.js'

export interface ConsolesDependencies {
  engine: NodeEngine
  log: Logger
  /** Exact: a page of another origin must not open a console with this browser's cookie. */
  originAllowed: (request: IncomingMessage) => boolean
  /** Asked when a ticket is redeemed, when everything may have changed since it was issued. */
  mayOpen: (subject: Subject, nodeId: NodeId, mode: ConsoleMode) => boolean | Promise<boolean>
  /** Without it, or without an engine that has a way to guests' ports, there are no consoles of kind `ssh`. */
  ssh?: SshDependencies
  /** Asked when a console is opened. Without it none is recorded. */
  recordings?: Recordings
  history?: ConsoleHistory
  /** Without it screens are shown directly. */
  guacamole?: Guacamole
  /** Whether this is the subject's own node; only then its screen's control comes by itself. Without it all are. */
  isOwn?: (subject: Subject, nodeId: NodeId) => boolean
  /** Control of a screen or a serial line was taken or handed back. */
  onControl?: (session: ConsoleSession, what: 'take-control' | 'release-control') => void
  /** Where a request came from; without it the peer's address. */
  addressOf?: (request: IncomingMessage) => string
  timing?: Partial<ConsolesTiming>
}

export interface ConsolesTiming {
  nowMs(): number
  pingIntervalMs: number
  /** How long a serial line may stay away while its node runs, before its viewers are told. */
  patienceMs: number
  /** How long a serial line stays open after its last viewer. */
  lingerMs: number
}

export interface Consoles {
  /** Which engine brings this console now, and why it is not the one that was wished for. Looks at guacd. */
  chooseEngine(kind: ConsoleKind, wanted: WantedEngine): Promise<{ engine: ScreenEngine; notice: string | null }>
  /** The caller has checked the subject's right. Throws `too_many_viewers`, `too_many_requests`. */
  issueTicket(about: {
    subject: Subject
    nodeId: NodeId
    kind: ConsoleKind
    mode: ConsoleMode
    engine?: ScreenEngine
    notice?: string | null
  }): ConsoleTicket
  /** Ends with 101 or with a plain HTTP 401, 403 or 404. `subject`: whom the request's cookie or token names, if anybody. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, who: { subject: Subject | null }): Promise<void>
  /** These end open consoles, unused tickets and upgrades that are under way; all are gone within a second. */
  closeForCredential(credentialId: string): void
  closeForUser(userId: string): void
  closeForNode(nodeId: string): void
  /** Closes the consoles that were told otherwise than what holds now; they come back by themselves and are told anew. */
  recordingSwitched(): void
  viewers(nodeId: string): Viewer[]
  /** Of guacd; what is said where none is to be looked for, too. */
  guacamoleHealth(): Promise<Pick<HealthCheck, 'state' | 'message' | 'hint'>>
  /** Whether consoles of kind `ssh` are served here at all. */
  readonly hasSsh: boolean
  /** The backend goes: viewers will come back. Nodes go on. */
  close(): void
}

const DEFAULT_TIMING: ConsolesTiming = {
  nowMs: () => performance.now(),
  pingIntervalMs: 20_000,
  patienceMs: 15_000,
  lingerMs: 30_000,
}
const MAX_PAYLOAD_BYTES = 1024 * 1024
const GOING_AWAY = 1001
const WITHOUT_GUACAMOLE = 'Guacamole is switched off; screens go through the direct console (noVNC), which needs none.'
const NO_GUACAMOLE = { ok: false, reason: 'This SandLabX has no Guacamole.' } as const
/** Requests name only a path; nothing is ever sent here. */
const BASE_URL = 'http://console.invalid'

/** Whose ticket was redeemed, and from where. */
interface Admitted {
  subject: Subject
  claims: TicketClaims
  address: string
}

/** The one way in to every console. */
export function createConsoles(dependencies: ConsolesDependencies): Consoles {
  const { engine, log, originAllowed, mayOpen, timing, history, guacamole, recordings } = dependencies
  const addressOf = dependencies.addressOf ?? ((request) => request.socket.remoteAddress ?? 'unknown')
  const { nowMs, pingIntervalMs, patienceMs, lingerMs } = { ...DEFAULT_TIMING, ...timing }
  const tickets = createTickets(nowMs)
  const presence = createPresence()
  const controls = createScreenControls({
    onChange: (nodeId) => presence.changed(nodeId),
    onControl: (session, what) => dependencies.onControl?.(session, what),
  })
  const hubs = new Map<NodeId, SerialHub>()
  const hasSsh = dependencies.ssh !== undefined && engine.connectGuest !== undefined
  /** Redeemed, not yet open; marked when they are revoked meanwhile. */
  const opening = new Set<{ claims: TicketClaims; revoked: boolean }>()
  const wss = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    autoPong: false, // viewer-socket answers, with a bound
    clientTracking: false,
  })
  guacamole?.onChange((answers) => {
    for (const { kind, engine: how, socket, isGreeted } of presence.all()) {
      if (kind === 'screen' && how === 'direct' && isGreeted) socket.tell({ type: 'guacamole', answers })
    }
  })
  const unwatch = engine.onChange(({ id, phase }) => {
    if (phase === 'stopped' || phase === 'absent' || phase === 'failed') nodeEnded(id)
  })

  function begin(socket: ViewerSocket, { subject, claims, address }: Admitted): ConsoleSession | undefined {
    const { nodeId, kind, mode, engine: how } = claims
    if (crowding(presence, nodeId, kind)) {
      socket.close(CLOSE.tooManyViewers, 'too many consoles are open')
      return undefined
    }
    const about = { id: randomUUID(), subject, nodeId, kind, mode, engine: how, address, openedAt: new Date() }
    const recorded = isToBeRecorded({ nodeId, kind, engine: how })
    const kept = { writer: false, writerChanged: () => undefined, size: null, isGreeted: false }
    const session: ConsoleSession = { ...about, recorded, socket, ...kept }
    history?.opened(session)
    presence.add(session)
    log.info({ nodeId, login: subject.login, kind, mode, engine: how }, 'console opened')
    socket.whenClosed(() => {
      presence.remove(session)
      history?.closed(session)
    })
    return session
  }

  function open(ws: WebSocket, admitted: Admitted): void {
    const socket = viewerSocket(ws, pingIntervalMs)
    const session = begin(socket, admitted)
    if (!session) return
    if (session.kind === 'serial') return hubFor(session.nodeId).join(session)
    if (session.kind === 'screen') return relayScreen({ engine, log, ...screenParts(session) })
    const { ssh } = dependencies
    if (!ssh || !hasSsh) return socket.close(CLOSE.unavailable, 'no such console')
    const { nodeId } = session
    openSshConsole({
      ...ssh,
      engine,
      session,
      log,
      endSession,
      record: recordings && ((onCut) => recordings.beginText(nodeId, 'ssh', onCut)),
      onChange: () => presence.changed(nodeId),
    })
  }

  /** As `open`, but another process answers the upgrade and speaks with the viewer. */
  function openThroughGuacd(through: Guacamole, upgrade: Upgrade, admitted: Admitted): void {
    let relay: GuacamoleRelay | undefined
    const viewer = through.gateway.viewer(upgrade, (reason) => relay?.ended(reason))
    const session = begin(viewer, admitted)
    if (!session) return
    const { layout } = through
    const onStranded = () => through.stranded()
    const record: Pick<GuacamoleRelayOptions, 'record'> = recordings
      ? { record: (about, onCut) => recordings.beginScreen(about, onCut) }
      : {}
    relay = relayThroughGuacd({ engine, layout, log, viewer, onStranded, ...record, ...screenParts(session) })
  }

  function screenParts(session: ConsoleSession) {
    controls.join(session, { guest: dependencies.isOwn?.(session.subject, session.nodeId) === false })
    return {
      session,
      endSession,
      onText: (text: string) => controls.heard(session, text),
      onClosed() {
        controls.leave(session)
        presence.remove(session)
      },
    }
  }

  function hubFor(nodeId: NodeId): SerialHub {
    const existing = hubs.get(nodeId)
    if (existing) return existing
    const hub = createSerialHub({
      engine,
      nodeId,
      log,
      patienceMs,
      lingerMs,
      onChange: () => presence.changed(nodeId),
      onControl: (session, what) => dependencies.onControl?.(session, what),
      endSession,
      ...(recordings ? { record: (onCut) => recordings.beginText(nodeId, 'serial', onCut) } : {}),
      onClosed: () => void (hubs.get(nodeId) === hub && hubs.delete(nodeId)),
    })
    hubs.set(nodeId, hub)
    return hub
  }

  /** A screen only where Guacamole brings it: there is no other way to play it again. */
  function isToBeRecorded({ nodeId, kind, engine: how }: Pick<ConsoleSession, 'nodeId' | 'kind' | 'engine'>): boolean {
    return recordings?.areWanted(nodeId) === true && (kind !== 'screen' || how === 'guacamole')
  }

  function endSession(session: ConsoleSession, cause: EndCause): void {
    if (cause === 'node-stopped') {
      session.socket.tell({ type: 'node-stopped' })
      closeSession(session, CLOSE.notRunning, 'the node is not running')
    } else {
      closeSession(session, CLOSE.unavailable, 'the console does not answer')
    }
  }

  function closeSession(session: ConsoleSession, code: number, reason: string): void {
    session.socket.close(code, reason)
    presence.remove(session)
  }

  function nodeEnded(nodeId: NodeId): void {
    for (const session of presence.of(nodeId)) if (session.kind !== 'serial') endSession(session, 'node-stopped')
    hubs.get(nodeId)?.nodeEnded()
  }

  function revoke(matches: (about: TicketClaims) => boolean, code: number, reason: string): void {
    tickets.revoke(matches)
    for (const one of opening) if (matches(one.claims)) one.revoked = true
    for (const session of presence.all()) {
      const { userId, credentialId } = session.subject
      if (matches({ ...session, userId, credentialId })) closeSession(session, code, reason)
    }
  }

  /** Whether a redeemed ticket still opens its console after the right to it was asked for again. */
  async function stillMayOpen(subject: Subject, claims: TicketClaims): Promise<boolean> {
    const one = { claims, revoked: false }
    opening.add(one)
    try {
      return (await mayOpen(subject, claims.nodeId, claims.mode)) && !one.revoked
    } finally {
      opening.delete(one)
    }
  }

  async function chooseEngine(kind: ConsoleKind, wanted: WantedEngine) {
    const direct = { engine: 'direct', notice: null } as const
    if (kind !== 'screen' || wanted === 'direct') return direct
    const found = guacamole ? await guacamole.available() : NO_GUACAMOLE
    if (found.ok) return { engine: 'guacamole', notice: null } as const
    // Not a word where none was ever set up and none was asked for.
    if (wanted === 'auto' && !guacamole?.isExpected) return direct
    return { ...direct, notice: `${found.reason} The screen is shown directly.` }
  }

  return {
    chooseEngine,
    issueTicket({ subject, nodeId, kind, mode, engine: how = 'direct', notice = null }) {
      const crowded = crowding(presence, nodeId, kind)
      if (crowded) {
        throw new SandlabError('too_many_viewers', crowded, { hint: 'Close one that is not needed, then try again.' })
      }
      const { userId, credentialId } = subject
      const ticket = tickets.issue({ userId, credentialId, nodeId, kind, mode, engine: how })
      const expiresAt = new Date(Date.now() + TICKET_LIFETIME_MS).toISOString()
      return { ticket, url: `${CONSOLE_PATH}?ticket=${ticket}`, kind, mode, engine: how, notice, expiresAt }
    },
    async handleUpgrade(request, socket, head, { subject }) {
      socket.on('error', () => socket.destroy())
      const url = URL.canParse(request.url ?? '', BASE_URL) ? new URL(request.url ?? '', BASE_URL) : undefined
      if (url?.pathname !== CONSOLE_PATH) return refuseUpgrade(socket, 'not_found', 'There is no WebSocket here.')
      if (!originAllowed(request)) return refuseUpgrade(socket, 'foreign_origin', 'This page may not open consoles.')
      if (!subject) return refuseUpgrade(socket, 'not_signed_in', 'Sign in first.')
      const claims = tickets.redeem(url.searchParams.get('ticket') ?? '', subject)
      if (!claims) return refuseUpgrade(socket, 'bad_ticket', 'This ticket opens nothing (any more).')
      if (!(await stillMayOpen(subject, claims))) return refuseUpgrade(socket, 'not_found', 'There is no such node.')
      if (socket.destroyed) return
      const admitted = { subject, claims, address: addressOf(request) }
      if (claims.engine === 'guacamole' && guacamole && socket instanceof Socket) {
        return openThroughGuacd(guacamole, { request, socket, head }, admitted)
      }
      wss.handleUpgrade(request, socket, head, (ws) => open(ws, admitted))
    },
    closeForCredential: (id) => revoke((about) => about.credentialId === id, CLOSE.badTicket, 'signed out'),
    closeForUser: (id) => revoke((about) => about.userId === id, CLOSE.notAllowed, 'not allowed any more'),
    recordingSwitched() {
      for (const session of presence.all()) {
        if (session.recorded !== isToBeRecorded(session)) closeSession(session, CLOSE.reopen, 'recording was switched')
      }
    },
    closeForNode: (id) => revoke((about) => about.nodeId === id, CLOSE.notRunning, 'the node is gone'),
    guacamoleHealth: async () => guacamole?.health() ?? { state: 'ok', message: WITHOUT_GUACAMOLE, hint: null },
    hasSsh,
    viewers: (nodeId) => presence.viewers(nodeId as NodeId), // an id that is none has no viewers
    close() {
      unwatch()
      revoke(() => true, GOING_AWAY, 'SandLabX restarts')
      for (const hub of hubs.values()) hub.close()
      wss.close()
    },
  }
}
