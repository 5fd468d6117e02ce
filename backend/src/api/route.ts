import type { Request, Response } from 'express'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { Action } from '../domain/authorize.js'
import type { ErrorCode } from '../domain/error.js'
import type { OperationPlan } from '../domain/plan.js'
import type { Subject } from '../domain/user.js'
import type { RequestKey } from './idempotency.js'
import type { Services } from './services.js'

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** `public`: anybody. `signed-in`: any account. An action: `authorize` is asked before the handler runs. */
export type Access = 'public' | 'signed-in' | Action

/** Files that are not JSON: the handler answers with the bytes. */
export interface RawAnswer {
  contentType: string
  bytes: Buffer | string
}

/** A file that is sent as it is read; the stream is destroyed when the client goes away. */
export interface FileAnswer {
  contentType: string
  fileName: string
  sizeBytes: number
  stream: Readable
}

export interface RouteContext<P, Q, B> {
  services: Services
  /** Throws `not_signed_in` on a public route without one. */
  subject: Subject
  params: P
  query: Q
  body: B
  request: Request
  response: Response
  requestId: string
  /** From its Idempotency-Key; null without one. */
  asked: RequestKey | null
  /** Names the object for the audit log, also when the handler fails afterwards. */
  about(object: { type: string; id: string; name?: string; details?: Record<string, unknown> }): void
}

/** One row of the API. Express wiring, the OpenAPI document and the authorization test are all made from these. */
export interface Route {
  method: Method
  /** OpenAPI form: `/api/nodes/{id}`. */
  path: string
  tag: string
  summary: string
  access: Access
  params?: z.ZodObject | undefined
  query?: z.ZodObject | undefined
  body?: z.ZodType | undefined
  answer: { status: 200 | 201 | 202 | 204; schema?: z.ZodType; contentType?: string }
  errors?: readonly ErrorCode[] | undefined
  /** The audit log's name of this change; absent for reads. */
  audit?: string | undefined
  /** Works while a first password must still be changed. */
  beforePasswordChange?: boolean | undefined
  /** Works before the state is loaded, and in safe mode. */
  beforeReady?: boolean | undefined
  /** Answers `?dryRun=true`: what it would do, without doing it. */
  plan?: ((context: RouteContext<never, never, never>) => Promise<OperationPlan>) | undefined
  handle(context: RouteContext<never, never, never>): Promise<unknown>
}

type Parsed<S extends z.ZodType | undefined> = S extends z.ZodType ? z.infer<S> : undefined

/** Checks one row's handler against its schemas. */
export function route<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  row: Omit<Route, 'params' | 'query' | 'body' | 'plan' | 'handle'> & {
    params?: P
    query?: Q
    body?: B
    plan?(context: RouteContext<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<OperationPlan>
    handle(context: RouteContext<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<unknown>
  },
): Route {
  return row // the three type parameters are checked above and erased here
}
