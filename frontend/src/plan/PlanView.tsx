import type { OperationPlan } from '@domain/plan.js'
import { Skeleton } from '@mantine/core'
import { IconAlertTriangle, IconArrowRight, IconPlus } from '@tabler/icons-react'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { Notice } from '../components/Notice.js'
import { Words } from '../components/Words.js'
import { formatSize } from '../util/size.js'
import { namesInShort } from './names-in-short.js'
import classes from './PlanView.module.css'
import { PlanFiles } from './PlanFiles.js'
import { SpaceBar } from './SpaceBar.js'

interface Props {
  plan: OperationPlan | undefined
  error: unknown
  /** The plan is of what is asked now. */
  fresh: boolean
  /** Said while there is nothing to plan. */
  waiting: string
  /** Refusals that the form shows in its own way. */
  except?: string
}

/** What the server would do, before it does it: what is made, what goes, how much room it takes. */
export function PlanView({ plan, error, fresh, waiting, except }: Props) {
  return (
    <section className={classes['plan']} aria-label="Plan" aria-busy={!fresh}>
      <h3>What will happen</h3>
      {error ? <ErrorNotice what="The plan could not be made" error={error} /> : null}
      {!plan && !error && (fresh ? <p className={classes['soft']}>{waiting}</p> : <Skeleton height={96} />)}
      {plan && !error && <Content plan={plan} stale={!fresh} except={except} />}
    </section>
  )
}

function Content({ plan, stale, except }: { plan: OperationPlan; stale: boolean; except: string | undefined }) {
  const refusal = plan.refusal && plan.refusal.code !== except ? plan.refusal : null
  return (
    <div className={classes['content']} data-stale={stale || undefined}>
      <Changes plan={plan} />
      {plan.files.length > 0 && <PlanFiles files={plan.files} />}
      {plan.space.map((need, index) => (
        <SpaceBar key={`${need.path}-${index}`} need={need} />
      ))}
      {plan.warnings.map((warning) => (
        <p key={warning} className={classes['warning']}>
          <IconAlertTriangle size={14} stroke={1.75} aria-label="Warning:" />
          <span>
            <Words>{warning}</Words>
          </span>
        </p>
      ))}
      {refusal && (
        <Notice tone="bad">
          <p>
            <Words>{refusal.message}</Words>
          </p>
          {refusal.hint && (
            <p>
              <Words>{refusal.hint}</Words>
            </p>
          )}
        </Notice>
      )}
      {plan.steps.length > 0 && (
        <details className={classes['steps']}>
          <summary>
            {plan.steps.length} {plan.steps.length === 1 ? 'step' : 'steps'}
          </summary>
          <ol>
            {plan.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </details>
      )}
    </div>
  )
}

type Made = OperationPlan['creates'][number]['type']

const NOUNS: Record<Made, readonly [one: string, many: string]> = {
  node: ['node', 'nodes'],
  layer: ['frozen layer', 'frozen layers'],
  image: ['image', 'images'],
  snapshot: ['snapshot', 'snapshots'],
  drive: ['drive', 'drives'],
}
const MADE = Object.keys(NOUNS) as Made[] // of a table with just these keys

/** More are folded away: a reset of a whole class is still read at a glance. */
const SHOWN = 8

function Changes({ plan: { creates, replaces } }: { plan: OperationPlan }) {
  const kinds = MADE.map((type) => ({
    type,
    names: creates.filter((one) => one.type === type).map(({ name }) => name),
  }))
  const rest = replaces.slice(SHOWN)
  if (creates.length + replaces.length === 0) return null
  return (
    <>
      <ul className={classes['changes']}>
        {kinds
          .filter(({ names }) => names.length > 0)
          .map(({ type, names }) => (
            <li key={type}>
              <IconPlus size={14} stroke={2} aria-hidden className={classes['made']} />
              <span>
                {names.length} new {NOUNS[type][names.length === 1 ? 0 : 1]}
                <span className={classes['names']}>{namesInShort(names)}</span>
              </span>
            </li>
          ))}
        {replaces.slice(0, SHOWN).map((one) => (
          <Replaced key={`${one.type}-${one.id}`} one={one} />
        ))}
      </ul>
      {rest.length > 0 && (
        <details className={classes['steps']}>
          <summary>
            {rest.length} more, {formatSize(rest.reduce((sum, { bytes }) => sum + bytes, 0))}
          </summary>
          <ul className={classes['changes']}>
            {rest.map((one) => (
              <Replaced key={`${one.type}-${one.id}`} one={one} />
            ))}
          </ul>
        </details>
      )}
    </>
  )
}

function Replaced({ one: { name, bytes, fate } }: { one: OperationPlan['replaces'][number] }) {
  return (
    <li>
      <IconArrowRight size={14} stroke={2} aria-hidden className={classes['goes']} />
      <span>
        <strong>{name}</strong> ({formatSize(bytes)}) <Words>{fate}</Words>
      </span>
    </li>
  )
}
