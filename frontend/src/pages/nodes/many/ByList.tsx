import { Textarea } from '@mantine/core'
import { type DragEvent, useRef, useState } from 'react'
import { LinkButton } from '../../../components/LinkButton.js'
import { ScrollBox } from '../../../components/ScrollBox.js'
import table from '../../../components/Table.module.css'
import { ShowMore } from '../ShowMore.js'
import type { BatchForm } from './batch-request.js'
import classes from './CreateMany.module.css'
import { type ListedNode, listFor } from './node-list.js'
import type { Owner } from './use-owners.js'

const MOST_BYTES = 1024 * 1024
const PAGE = 50

interface Props {
  form: BatchForm
  rows: readonly ListedNode[]
  people: readonly Owner[]
  onChange: (change: Partial<BatchForm>) => void
}

/** A list, typed, pasted or dropped; below it what was understood, line by line. */
export function ByList({ form, rows, people, onChange }: Props) {
  const [over, setOver] = useState(false)
  const [problem, setProblem] = useState<string>()
  const file = useRef<HTMLInputElement>(null)
  const students = people.filter(({ student }) => student)
  const read = async (chosen: File | undefined) => {
    if (!chosen) return
    setProblem(chosen.size > MOST_BYTES ? `${chosen.name} is no list: it is larger than 1 MiB.` : undefined)
    if (chosen.size <= MOST_BYTES) onChange({ list: await chosen.text() })
  }
  const drop = (event: DragEvent) => {
    setOver(false)
    const [dropped] = event.dataTransfer.files
    if (!dropped) return // a piece of text: the field takes it
    event.preventDefault()
    void read(dropped)
  }
  return (
    <div className={classes['list']}>
      <Textarea
        label="One node a line"
        description="Name, owner’s login, user in the guest. The last two may be left out."
        placeholder={'web-sam, sam\nweb-lea, lea, lea'}
        rows={5}
        value={form.list}
        data-autofocus
        data-over={over || undefined}
        className={classes['text'] ?? ''}
        spellCheck={false}
        error={problem}
        onChange={(event) => onChange({ list: event.currentTarget.value })}
        onDragOver={() => setOver(true)}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      />
      <p className={classes['note']}>
        Drop a CSV file on it, or <LinkButton onClick={() => file.current?.click()}>choose one</LinkButton>.
        {students.length > 0 && (
          <>
            {' '}
            Or begin with{' '}
            <LinkButton onClick={() => onChange({ list: listFor(students, 'lab') })}>
              one for each of {students.length} students
            </LinkButton>
            .
          </>
        )}
      </p>
      <input
        ref={file}
        type="file"
        hidden
        accept=".csv,.txt,text/csv,text/plain"
        aria-label="A CSV file"
        onChange={(event) => void read(event.currentTarget.files?.[0])}
      />
      {rows.length > 0 && <Preview rows={rows} />}
    </div>
  )
}

function Preview({ rows }: { rows: readonly ListedNode[] }) {
  const [limit, setLimit] = useState(PAGE)
  const faulty = rows.filter(({ faults }) => faults.length > 0)
  const sorted = [...faulty, ...rows.filter(({ faults }) => faults.length === 0)]
  return (
    <>
      <output className={classes['understood']}>
        {rows.length} {rows.length === 1 ? 'node' : 'nodes'}
        {faulty.length > 0 && <strong>, {faulty.length} with a fault</strong>}
      </output>
      <ScrollBox label="What was understood" className={`${table['scroll']} ${classes['preview']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th className={table['number']}>Line</th>
              <th>Name</th>
              <th>Owner</th>
              <th>User in the guest</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, limit).map((row) => (
              <Row key={row.line} row={row} />
            ))}
          </tbody>
        </table>
      </ScrollBox>
      <ShowMore shown={limit} total={rows.length} onMore={() => setLimit(limit + PAGE)} />
    </>
  )
}

function Row({ row: { line, name, owner, guestUser, faults } }: { row: ListedNode }) {
  const faulty = faults.length > 0
  return (
    <>
      <tr data-faulty={faulty || undefined}>
        <td className={`${table['number']} ${table['soft']}`}>{line}</td>
        <td className={table['strong']}>{name || '–'}</td>
        <td>{owner || <span className={table['soft']}>me</span>}</td>
        <td>{guestUser || <span className={table['soft']}>as usual</span>}</td>
      </tr>
      {faulty && (
        <tr data-faulty className={classes['faults']}>
          <td colSpan={4}>{faults.join('. ')}.</td>
        </tr>
      )}
    </>
  )
}
