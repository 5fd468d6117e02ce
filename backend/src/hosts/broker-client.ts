import { request as send } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  brokerFaultSchema,
  type BrokerFault,
  type NodeContainerCall,
  type NodeContainerRequest,
} from '../domain/node-container.js'
import { EngineError, type EngineErrorCode } from './engine.js'

/** Makes, starts, stops and removes the containers of nodes for us; see domain/node-container.ts for the calls. */
export interface BrokerClient {
  /**
   * Rejects with EngineError: `locked` when its container runs already, `engine` (retry) when the broker or the container
   * engine does not do it. One that is just being started again is waited for, unless `patient` is false.
   */
  ask<C extends NodeContainerCall>(
    call: C,
    request: NodeContainerRequest<C>,
    options?: { patient?: boolean },
  ): Promise<void>
  /** Why it can't be asked now, in words; undefined when it can. */
  fault(): Promise<string | undefined>
}

/** Docker may have to write much, on a busy machine. */
const CALL_MS = 90_000
/** After a restart of the machine all services are started at once. */
const PATIENCE_MS = 10_000
const AWAY = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES'])

export function connectBroker(socket: string): BrokerClient {
  return {
    async ask(call, request, { patient = true } = {}) {
      const deadline = performance.now() + (patient ? PATIENCE_MS : 0)
      for (;;) {
        try {
          return await askOnce(socket, call, request)
        } catch (error) {
          if (error instanceof EngineError) throw error
          const isAway = AWAY.has((error as NodeJS.ErrnoException).code ?? '')
          if (!isAway || performance.now() > deadline) throw silent(error)
        }
        await delay(100)
      }
    },
    fault: () =>
      new Promise((resolve) => {
        const line = connect(socket)
        line.once('connect', () => {
          line.destroy()
          resolve(undefined)
        })
        line.once('error', () => resolve(SILENT))
      }),
  }
}

const SILENT = 'The broker, which makes the containers of nodes, does not answer.'

function silent(cause: unknown): EngineError {
  return new EngineError('engine', `${SILENT} See \`docker compose logs broker\`.`, { retry: true, cause })
}

function askOnce(socketPath: string, call: NodeContainerCall, body: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path: `/${call}`, method: 'POST', timeout: CALL_MS, agent: false }
    const request = send(options, (response) => {
      let said = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        said = (said + chunk).slice(0, 4000)
      })
      response.on('error', reject)
      response.on('end', () => (response.statusCode === 204 ? resolve() : reject(failureOf(said))))
    })
    request.on('timeout', () => request.destroy(new Error(`no answer in ${CALL_MS / 1000} s`)))
    request.on('error', reject)
    request.end(JSON.stringify(body))
  })
}

const CODES: Record<BrokerFault['fault'], EngineErrorCode> = {
  'bad-call': 'unsupported',
  conflict: 'locked',
  'not-found': 'engine',
  docker: 'engine',
}

function failureOf(said: string): EngineError {
  try {
    const { fault, message } = brokerFaultSchema.parse(JSON.parse(said))
    return new EngineError(CODES[fault], message, { retry: fault === 'docker' })
  } catch (cause) {
    return new EngineError('engine', 'The broker gave an answer that is none.', { cause })
  }
}
