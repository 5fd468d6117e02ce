import { z } from 'zod'

/** One thing that matters: is it well, and what to do when not. */
export const healthCheckSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    state: z.enum(['ok', 'warning', 'failed']),
    /** What was found, in plain words with figures. */
    message: z.string(),
    /** The one next step; null when all is well. */
    hint: z.string().nullable(),
  })
  .meta({ id: 'HealthCheck' })
export type HealthCheck = z.infer<typeof healthCheckSchema>

export const healthReportSchema = z
  .object({
    /** The process answers. */
    live: z.boolean(),
    /** It takes requests: state loaded, nodes reconciled. */
    ready: z.boolean(),
    state: z.enum(['ok', 'warning', 'failed']),
    version: z.string(),
    /** Present for administrators only. Worst first. */
    checks: z.array(healthCheckSchema).optional(),
  })
  .meta({ id: 'HealthReport' })
export type HealthReport = z.infer<typeof healthReportSchema>

const RANK = { failed: 0, warning: 1, ok: 2 } as const

export function worstFirst(checks: HealthCheck[]): HealthCheck[] {
  return checks.toSorted((a, b) => RANK[a.state] - RANK[b.state])
}

export function overallState(checks: HealthCheck[]): HealthCheck['state'] {
  return worstFirst(checks)[0]?.state ?? 'ok'
}
