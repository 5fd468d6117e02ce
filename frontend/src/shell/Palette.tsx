/* oxlint-disable jsx-a11y/prefer-tag-over-role -- an ARIA combobox has no tags of its own */
import { Modal, useMantineColorScheme } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useId, useRef, useState } from 'react'
import { useNodes } from '../api/nodes.js'
import { usePowerButtons } from '../components/power.js'
import { rank } from '../util/rank.js'
import { type Command, nodeCommands, pageCommands } from './commands.js'
import classes from './Palette.module.css'
import { usePlaces } from './places.js'

const SHOWN = 9

interface Props {
  onClose: () => void
  onKeys: () => void
  onTasks: () => void
}

/** Ctrl K: go anywhere, do anything, by typing a few letters of it. */
export function Palette({ onClose, onKeys, onTasks }: Props) {
  const navigate = useNavigate()
  const nodes = useNodes()
  const power = usePowerButtons()
  const places = usePlaces()
  const { setColorScheme } = useMantineColorScheme()
  const [typed, setTyped] = useState('')
  const [active, setActive] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()

  const found = search(typed, [
    ...nodeCommands(nodes.data ?? [], power, navigate),
    ...pageCommands({ places, navigate, setColorScheme, onKeys, onTasks }),
  ])
  const run = (command: Command | undefined) => {
    if (!command) return
    onClose()
    command.run()
  }
  const move = (to: number) => {
    const next = (to + found.length) % Math.max(found.length, 1)
    setActive(next)
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' })
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') move(active + 1)
    else if (event.key === 'ArrowUp') move(active - 1)
    else if (event.key === 'Enter') run(found[active])
    else return
    event.preventDefault()
  }

  return (
    <Modal.Root opened onClose={onClose} size={600} yOffset="12vh" padding={0} centered={false}>
      <Modal.Overlay />
      <Modal.Content aria-label="Search and commands">
        <Modal.Title className="visually-hidden">Search and commands</Modal.Title>
        <div className={classes['field']}>
          <IconSearch size={18} stroke={1.6} aria-hidden />
          <input
            data-autofocus
            type="text"
            role="combobox"
            aria-label="A node, a place or a command"
            aria-expanded
            aria-controls={`${id}-list`}
            aria-activedescendant={found[active] ? `${id}-${active}` : undefined}
            aria-autocomplete="list"
            placeholder="A node, a place or a command"
            spellCheck={false}
            autoComplete="off"
            value={typed}
            onChange={(event) => {
              setTyped(event.currentTarget.value)
              setActive(0)
            }}
            onKeyDown={onKeyDown}
          />
          <kbd>Esc</kbd>
        </div>
        <div ref={list} id={`${id}-list`} role="listbox" aria-label="Found" className={classes['list']}>
          {found.map((command, index) => (
            <button
              key={command.id}
              id={`${id}-${index}`}
              type="button"
              role="option"
              tabIndex={-1}
              aria-selected={index === active}
              className={classes['command']}
              onMouseMove={() => setActive(index)}
              onClick={() => run(command)}
            >
              <span className={classes['icon']}>{command.icon}</span>
              <span className={classes['label']}>{command.label}</span>
              <span className={classes['note']}>{command.note}</span>
              {command.keys?.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </button>
          ))}
        </div>
        {found.length === 0 && <p className={classes['none']}>Nothing here is called that.</p>}
      </Modal.Content>
    </Modal.Root>
  )
}

function search(typed: string, commands: readonly Command[]): Command[] {
  return commands
    .map((command) => ({
      command,
      score: Math.max(
        rank(command.label, typed) * 2,
        rank(`${command.label} ${command.note ?? ''} ${command.words ?? ''}`, typed),
      ),
    }))
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => (typed ? b.score - a.score : 0) || a.command.weight - b.command.weight)
    .slice(0, typed ? SHOWN : SHOWN * 2)
    .map(({ command }) => command)
}
