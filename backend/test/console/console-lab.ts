import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConsolesDependencies, type Consoles, createConsoles } from '../../src/consoles/gateway.js'
import type { ConsoleKind, ConsoleMode } from '../../src/domain/console.js'
import type { NodeId, UserId } from '../../src/domain/ids.js'
import type { Role, Subject } from '../../src/domain/user.js'
import {
  type ConsoleTarget,
  EngineError,
  type EngineNode,
  type NodeEngine,
  type Phase,
} from '../../src/hosts/engine.js'
import { createLog } from '../../src/system/log.js'
import { type ConsoleClient, connectConsole } from './console-client.js'

/** A node as the console room sees it: where its consoles are, what its log holds, whether it runs. */
export interface TestNode {
  id: NodeId
  phase: Phase
  targets: Partial<Record<ConsoleKind, ConsoleTarget>>
  log: () => Buffer
  /** Reading the log takes this long. */
  logDelayMs: number
}

export interface ConsoleLab {
  consoles: Consoles
  url: string
  origin: string
  folder: string
  /** What the gateway asks; tests may replace these. */
  rules: { mayOpen: ConsolesDependencies['mayOpen'] }
  subject(login: string, role?: Role): Subject
  addNode(parts?: Partial<TestNode>): TestNode
  setPhase(node: TestNode, phase: Phase): void
  ticketUrl(subject: Subject, node: TestNode, kind?: ConsoleKind, mode?: ConsoleMode): string
  open(subject: Subject, node: TestNode, kind?: ConsoleKind, mode?: ConsoleMode): Promise<ConsoleClient>
  close(): Promise<void>
}

/** `connectGuest`: the nodes' engine has a way to their ports. */
export type ConsoleLabParts = Partial<ConsolesDependencies> & Pick<NodeEngine, 'connectGuest'>

/** The gateway alone over a real HTTP server; the header `x-test-user` stands for the cookie. */
export async function startConsoleLab(
  timing: ConsolesDependencies['timing'] = {},
  more: (folder: string) => Promise<ConsoleLabParts> = async () => ({}),
): Promise<ConsoleLab> {
  const folder = await mkdtemp(join(tmpdir(), 'sbx-console-'))
  await chmod(folder, 0o711) // guacd is another user
  const parts = await more(folder)
  const nodes = new Map<string, TestNode>()
  const subjects = new Map<string, Subject>()
  const listeners = new Set<(node: EngineNode) => void>()
  const rules: ConsoleLab['rules'] = { mayOpen: () => true }
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const consoles = createConsoles({
    engine: { ...engineOver(nodes, listeners), ...(parts.connectGuest ? { connectGuest: parts.connectGuest } : {}) },
    log: createLog('silent'),
    originAllowed: (request) => request.headers.origin === origin,
    mayOpen: (...about) => rules.mayOpen(...about),
    timing: { patienceMs: 3000, lingerMs: 200, ...timing },
    ...parts,
  })
  http.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    const subject = subjects.get(String(request.headers['x-test-user'])) ?? null
    void consoles.handleUpgrade(request, socket, head, { subject })
  })
  const ticketUrl: ConsoleLab['ticketUrl'] = (subject, node, kind = 'serial', mode = 'control') =>
    origin.replace('http', 'ws') + consoles.issueTicket({ subject, nodeId: node.id, kind, mode }).url
  return {
    consoles,
    url: origin.replace('http', 'ws'),
    origin,
    folder,
    rules,
    subject(login, role = 'student') {
      const subject: Subject = {
        userId: randomUUID() as UserId,
        login,
        role,
        credentialId: randomUUID(),
        kind: 'session',
        mustChangePassword: false,
      }
      subjects.set(subject.credentialId, subject)
      return subject
    },
    addNode(parts = {}) {
      const node: TestNode = {
        id: randomUUID() as NodeId,
        phase: 'running',
        targets: {},
        log: () => Buffer.alloc(0),
        logDelayMs: 0,
        ...parts,
      }
      nodes.set(node.id, node)
      return node
    },
    setPhase(node, phase) {
      node.phase = phase
      for (const listener of listeners) listener(engineNode(node))
    },
    ticketUrl,
    open: (subject, node, kind, mode) =>
      connectConsole(ticketUrl(subject, node, kind, mode), { origin, user: subject.credentialId }),
    async close() {
      consoles.close()
      parts.guacamole?.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const engineNode = (node: TestNode): EngineNode => ({
  id: node.id,
  phase: node.phase,
  reason: null,
  generation: 1,
  host: null,
  startedAt: null,
  accelerator: null,
  ended: null,
  pid: null,
})

/** Only what consoles ask for; everything else is refused. */
function engineOver(nodes: Map<string, TestNode>, listeners: Set<(node: EngineNode) => void>): NodeEngine {
  const nodeOf = (id: string) => {
    const node = nodes.get(id)
    if (!node) throw new EngineError('not-found', `no node ${id}`)
    return node
  }
  const parts: Partial<NodeEngine> = {
    inspect: async (id) => engineNode(nodeOf(id)),
    async console(id, kind) {
      const node = nodeOf(id)
      if (node.phase !== 'running') throw new EngineError('not-found', 'not running')
      const target = node.targets[kind]
      if (!target) throw new EngineError('engine', 'no such console')
      return target
    },
    async serialTail(id, maxBytes) {
      const node = nodeOf(id)
      if (node.logDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, node.logDelayMs))
      const log = node.log()
      return Buffer.from(log.subarray(Math.max(0, log.length - maxBytes)))
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return parts as NodeEngine // the rest is never called by this room
}

/** Waits for a condition, at most `timeoutMs`. */
export async function until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
