import type { NodeView } from '@domain/node.js'
import { SegmentedControl, Tooltip, VisuallyHidden } from '@mantine/core'
import { IconLayoutGrid, IconList, IconSearch } from '@tabler/icons-react'
import type { ReactNode, RefObject } from 'react'
import { ChipButton } from '../../components/ChipButton.js'
import { Mark } from '../../components/Mark.js'
import type { Shape, Tone } from '../../components/node-status.js'
import { SlowField } from '../../components/SlowField.js'
import type { NODE_VIEWS, NodesSearch } from '../../search.js'
import { readList } from '../../util/address.js'
import { type Chip, CHIPS, countByChip } from '../../util/node-filter.js'
import classes from './NodesToolbar.module.css'

const CHIP_FACES: Record<Chip, { word: string; tone: Tone; shape: Shape }> = {
  running: { word: 'Running', tone: 'run', shape: 'dot' },
  stopped: { word: 'Stopped', tone: 'off', shape: 'ring' },
  attention: { word: 'Needs attention', tone: 'bad', shape: 'cross' },
}

interface Props {
  nodes: readonly NodeView[]
  search: NodesSearch
  view: (typeof NODE_VIEWS)[number]
  staff: boolean
  field: RefObject<HTMLInputElement | null>
  onChange: (change: NodesSearch) => void
}

/** Filters by text and by status, and the choice between table and cards. All of it lives in the address. */
export function NodesToolbar({ nodes, search, view, staff, field, onChange }: Props) {
  const chips = readList(search.status, CHIPS)
  const counts = countByChip(nodes)
  const toggle = (chip: Chip) =>
    onChange({ status: (chips.includes(chip) ? chips.filter((one) => one !== chip) : [...chips, chip]).join(',') })
  return (
    <search className={classes['bar']}>
      <FilterField field={field} text={search.q ?? ''} onChange={(q) => onChange({ q })} />
      <div className={classes['chips']}>
        {CHIPS.filter((chip) => counts[chip] > 0 || chips.includes(chip)).map((chip) => (
          <ChipButton key={chip} pressed={chips.includes(chip)} count={counts[chip]} onClick={() => toggle(chip)}>
            <Mark shape={CHIP_FACES[chip].shape} tone={CHIP_FACES[chip].tone} />
            {CHIP_FACES[chip].word}
          </ChipButton>
        ))}
        {staff && (
          <ChipButton
            pressed={search.owner === 'me'}
            onClick={() => onChange({ owner: search.owner === 'me' ? undefined : 'me' })}
          >
            Mine
          </ChipButton>
        )}
      </div>
      <SegmentedControl
        className={classes['views'] ?? ''}
        size="xs"
        aria-label="View"
        value={view}
        onChange={(value) => onChange({ view: value })}
        data={[
          { value: 'table', label: <ViewLabel icon={<IconList size={15} />} name="Table" /> },
          { value: 'cards', label: <ViewLabel icon={<IconLayoutGrid size={15} />} name="Cards" /> },
        ]}
      />
    </search>
  )
}

/** Enter goes on to the first node found. */
function FilterField({
  field,
  text,
  onChange,
}: {
  field: Props['field']
  text: string
  onChange: (q: string) => void
}) {
  return (
    <SlowField
      ref={field}
      className={classes['filter'] ?? ''}
      type="search"
      aria-label="Filter nodes"
      placeholder="Filter by name, image, owner"
      leftSection={<IconSearch size={15} stroke={1.75} aria-hidden />}
      rightSection={text ? null : <kbd>/</kbd>}
      value={text}
      onChange={onChange}
      onKeyDown={(event) => {
        if (event.key === 'Escape') event.currentTarget.blur()
        if (event.key === 'Enter') document.querySelector<HTMLElement>('[data-row]')?.focus()
      }}
    />
  )
}

function ViewLabel({ icon, name }: { icon: ReactNode; name: string }) {
  return (
    <Tooltip label={name}>
      <span className={classes['view']}>
        {icon}
        <VisuallyHidden>{name}</VisuallyHidden>
      </span>
    </Tooltip>
  )
}
