import type { Operation } from '@domain/operation.js'
import { Select } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { ChipButton } from '../../components/ChipButton.js'
import { Mark } from '../../components/Mark.js'
import type { Shape, Tone } from '../../components/node-status.js'
import { SlowField } from '../../components/SlowField.js'
import { kindWords } from '../../operations/kinds.js'
import { type OperationChip, operationChip } from '../../operations/operation-filter.js'
import { OPERATION_CHIPS, type OperationsSearch } from '../../search.js'
import { readList } from '../../util/address.js'
import classes from './Operations.module.css'

const FACES: Record<OperationChip, { word: string; tone: Tone; shape: Shape }> = {
  running: { word: 'Running', tone: 'boot', shape: 'half' },
  done: { word: 'Done', tone: 'run', shape: 'dot' },
  trouble: { word: 'Not done', tone: 'bad', shape: 'cross' },
}

interface Props {
  operations: readonly Operation[]
  search: OperationsSearch
  onChange: (change: OperationsSearch) => void
}

/** Filters by words, state and kind. All of it lives in the address. */
export function OperationsToolbar({ operations, search, onChange }: Props) {
  const chips = readList(search.state, OPERATION_CHIPS)
  const kinds = [...new Set(operations.map(({ kind }) => kind))]
  const count = (chip: OperationChip) => operations.filter(({ state }) => operationChip(state) === chip).length
  const toggle = (chip: OperationChip) =>
    onChange({ state: (chips.includes(chip) ? chips.filter((one) => one !== chip) : [...chips, chip]).join(',') })
  return (
    <search className={classes['bar']}>
      <SlowField
        className={classes['filter'] ?? ''}
        type="search"
        aria-label="Filter operations"
        placeholder="Filter by title, person, node"
        leftSection={<IconSearch size={15} stroke={1.75} aria-hidden />}
        value={search.q ?? ''}
        onChange={(q) => onChange({ q })}
      />
      <div className={classes['chips']}>
        {OPERATION_CHIPS.map((chip) => {
          const { word, tone, shape } = FACES[chip]
          return (
            <ChipButton key={chip} pressed={chips.includes(chip)} count={count(chip)} onClick={() => toggle(chip)}>
              <Mark shape={shape} tone={tone} />
              {word}
            </ChipButton>
          )
        })}
      </div>
      <Select
        className={classes['kind'] ?? ''}
        aria-label="Kind"
        placeholder="Any kind"
        data={kinds.map((kind) => ({ value: kind, label: kindWords(kind) }))}
        value={search.kind ?? null}
        clearable
        allowDeselect
        onChange={(kind) => onChange({ kind: kind ?? undefined })}
      />
    </search>
  )
}
