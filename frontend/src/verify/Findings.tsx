import type { VerifyReport } from '@domain/storage.js'
import { lazy, Suspense, useState } from 'react'
import { ActionButton } from '../components/ActionButton.js'
import { Mark } from '../components/Mark.js'
import { Words } from '../components/Words.js'
import classes from './Findings.module.css'
import type { Mending } from './RepairDialog.js'

const RepairDialog = lazy(async () => ({ default: (await import('./RepairDialog.js')).RepairDialog }))

type Subject = VerifyReport['subjects'][number]

const NOUNS: Record<Subject['type'], string> = { node: 'Node', image: 'Image', layer: 'Layer', registry: 'Registry' }
const SHOWN = 50

/** What was looked at: what is not well first and open, each with the ways to mend it. */
export function Findings({ report }: { report: VerifyReport }) {
  const [mending, setMending] = useState<Mending | null>(null)
  const bad = report.subjects.filter(({ ok }) => !ok)
  const well = report.subjects.filter(({ ok }) => ok)
  return (
    <div className={classes['report']}>
      {bad.length > 0 && (
        <ul className={classes['subjects']} aria-label="Not well">
          {bad.map((subject) => (
            <li key={`${subject.type}-${subject.id}`} className={classes['subject']} data-bad>
              <SubjectHead subject={subject} />
              <FindingList subject={subject} onMend={setMending} />
            </li>
          ))}
        </ul>
      )}
      {well.length > 0 && (
        <ul className={classes['subjects']} aria-label="Well">
          {well.slice(0, SHOWN).map((subject) => (
            <li key={`${subject.type}-${subject.id}`} className={classes['subject']}>
              {subject.findings.length === 0 ? (
                <SubjectHead subject={subject} />
              ) : (
                <details>
                  <summary>
                    <SubjectHead subject={subject} />
                  </summary>
                  <FindingList subject={subject} onMend={setMending} />
                </details>
              )}
            </li>
          ))}
          {well.length > SHOWN && <li className={classes['rest']}>and {well.length - SHOWN} more that are well</li>}
        </ul>
      )}
      <Suspense>{mending && <RepairDialog mending={mending} onClose={() => setMending(null)} />}</Suspense>
    </div>
  )
}

function SubjectHead({ subject: { type, name, ok, findings } }: { subject: Subject }) {
  const failed = findings.filter((finding) => !finding.ok).length
  return (
    <span className={classes['head']}>
      <Mark shape={ok ? 'dot' : 'cross'} tone={ok ? 'run' : 'bad'} />
      <strong>{name}</strong>
      <span className={classes['soft']}>
        {NOUNS[type]}
        {ok ? `, ${findings.length} looked at, all well` : `, ${failed} of ${findings.length} not well`}
      </span>
    </span>
  )
}

function FindingList({ subject, onMend }: { subject: Subject; onMend: (mending: Mending) => void }) {
  return (
    <ul className={classes['findings']}>
      {subject.findings.map((finding, index) => (
        <li key={`${finding.check}-${finding.path}-${index}`} data-bad={!finding.ok || undefined}>
          <span className={classes['sign']} aria-hidden="true">
            {finding.ok ? '✓' : '✗'}
          </span>
          <span className={classes['text']}>
            <span className="visually-hidden">{finding.ok ? 'Well: ' : 'Not well: '}</span>
            <code>{finding.path}</code>{' '}
            <span className={classes['message']}>
              <Words>{finding.message}</Words>
            </span>
            {finding.repairs.length > 0 && (
              <span className={classes['repairs']}>
                {finding.repairs.map((one) => (
                  <ActionButton
                    key={`${one.repair}-${one.argument ?? ''}`}
                    size="xs"
                    variant="default"
                    reason={subject.type === 'node' ? null : 'Mend it on the node that stands on it.'}
                    onClick={() =>
                      onMend({
                        nodeId: subject.id,
                        name: subject.name,
                        repair: one.repair,
                        title: one.title,
                        path: finding.path,
                        argument: one.argument,
                      })
                    }
                  >
                    {one.title}
                  </ActionButton>
                ))}
              </span>
            )}
          </span>
        </li>
      ))}
    </ul>
  )
}
