import { knownCode, SandlabError } from '../domain/error.js'
import type { OperationPlan } from '../domain/plan.js'
import { planAnswer } from './answers.js'
import type { Client, PlanMethod } from './client.js'
import { canAsk } from './io.js'
import { planLines, showDryRun } from './plan-view.js'
import { askConfirmation } from './prompts.js'
import type { Run } from './run.js'

/** One request whose plan is shown before it is sent. */
export interface Planned {
  method: PlanMethod
  path: string
  body?: unknown
}

export interface QuestionOptions {
  /** Asks nothing. */
  force: boolean
  /** Shows the plans and does nothing. */
  dryRun: boolean
}

/** What is asked, and what it is about where nobody can be asked: `Deleting web`. */
export interface Question {
  question: string
  doing: string
  /** Said beneath the plans, before the question. */
  advice?: string | undefined
  /** The next step after a refusal that names none. */
  wayOut?: (code: string) => string | undefined
  /** Only these need a question; absent: each does. */
  askIf?: (plan: OperationPlan) => boolean
}

/**
 * Shows what would be done, from the server's own plans, and asks. Returns the plans when it is to be done, undefined
 * after a dry run. Throws a refusal before anything is asked, `cancelled` for a no, and `bad_request` where nobody can be
 * asked and nobody said `--force`.
 */
export async function askWithPlans(
  run: Run,
  client: Client,
  requests: readonly Planned[],
  options: QuestionOptions,
  { question, doing, advice, wayOut = () => undefined, askIf = () => true }: Question,
): Promise<OperationPlan[] | undefined> {
  const plans: OperationPlan[] = []
  for (const { method, path, body } of requests) plans.push((await client.ask(method, path, body, planAnswer)).plan)
  if (options.dryRun) {
    showDryRun(run, plans)
    return undefined
  }
  for (const plan of plans) throwIfRefused(plan, wayOut)
  if (options.force || !plans.some(askIf)) return plans
  requireAnswer(run, options, doing)
  const lines = plans.flatMap((plan) => planLines(run.io, run.io.stderr, plan))
  run.io.stderr.write(`${[...lines, ...(advice === undefined ? [] : [advice])].join('\n')}\n`)
  if (await askConfirmation(run.io, question)) return plans
  throw new SandlabError('cancelled', 'Nothing was changed.')
}

/** For what always asks: says so before the server is asked anything. */
export function requireAnswer(run: Run, { force, dryRun }: QuestionOptions, doing: string): void {
  if (force || dryRun || canAsk(run.io)) return
  throw new SandlabError('bad_request', `${doing} asks first, and there is no terminal to ask on.`, {
    hint: 'Look at it with --dry-run, then add --force.',
  })
}

function throwIfRefused({ refusal }: OperationPlan, wayOut: (code: string) => string | undefined): void {
  if (!refusal) return
  const { code, message, hint = wayOut(code) } = refusal
  throw new SandlabError(knownCode(code), message, { hint })
}
