import { SandlabError } from '../domain/error.js'
import { namePatternSchema, type NodeView } from '../domain/node.js'
import { formatBytes } from '../domain/units.js'
import { planAnswer } from './answers.js'
import type { Client } from './client.js'
import { askChoice, askText } from './prompts.js'
import type { Run } from './run.js'

/** A clone as the API takes it; what is undefined is left to the server. */
export interface CloneBody {
  name: string
  force?: boolean | undefined
  idempotent?: boolean | undefined
  [field: string]: unknown
}

export interface Conflict {
  path: string
  body: CloneBody
  source: NodeView
  /** `name_taken`, as the server said it. */
  conflict: SandlabError
}

/**
 * Asks what is to become of a name that is taken: replace the node that has it, give another name, or cancel, which
 * throws. Returns the request to send instead.
 */
export async function askAboutConflict(run: Run, client: Client, about: Conflict): Promise<CloneBody> {
  const { path, body, source, conflict } = about
  const replacing = { ...body, force: true }
  const { plan } = await client.ask('POST', path, replacing, planAnswer)
  const bytes = plan.replaces.reduce((sum, one) => sum + one.bytes, 0)
  const what = plan.replaces.map(({ name }) => name).join(', ')
  const canReplace = plan.replaces.length > 0 && plan.refusal === null
  const answer = await askChoice(run.io, conflict.message, [
    { value: 'name', label: 'Give another name' },
    ...(canReplace
      ? [
          {
            value: 'replace',
            label: `Replace ${what}`,
            hint: `${formatBytes(bytes)}; ${plan.replaces[0]?.fate}`,
          } as const,
        ]
      : []),
    { value: 'cancel', label: 'Cancel' },
  ])
  if (answer === 'replace') return replacing
  if (answer === 'name') return { ...body, name: await askText(run.io, 'Name', suggestion(body, source), nameFault) }
  throw new SandlabError('cancelled', 'Cancelled; nothing was changed.')
}

function suggestion({ name }: CloneBody, source: NodeView): string {
  const [, stem = name, number] = /^(.*?)-?(\d{1,4})?$/.exec(name) ?? []
  const next = `${stem}-${Number(number ?? 1) + 1}`
  return next === source.name ? `${next}-copy` : next
}

function nameFault(value: string | undefined): string | undefined {
  const parsed = namePatternSchema.safeParse(value?.trim())
  return parsed.success ? undefined : `A name has ${parsed.error.issues[0]?.message ?? 'letters and digits'}.`
}
