import type { DriveView } from '@domain/drive.js'
import type { NodeView } from '@domain/node.js'
import { ActionIcon, Menu, Tooltip } from '@mantine/core'
import {
  IconAlertTriangle,
  IconArrowsMaximize,
  IconDots,
  IconPencil,
  IconTransfer,
  IconUnlink,
} from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { useMay } from '../api/current-user.js'
import { CopyButton } from '../components/CopyButton.js'
import { MenuAction } from '../components/MenuAction.js'
import table from '../components/Table.module.css'
import { UsageBar } from '../pages/node/UsageBar.js'
import classes from './DrivesTable.module.css'
import { limitsWords } from './limits.js'

const ChangeDriveDialog = lazy(async () => ({ default: (await import('./DriveDialogs.js')).ChangeDriveDialog }))
const GrowDriveDialog = lazy(async () => ({ default: (await import('./DriveDialogs.js')).GrowDriveDialog }))
const MoveDriveDialog = lazy(async () => ({ default: (await import('./DriveDialogs.js')).MoveDriveDialog }))
const RemoveDriveDialog = lazy(async () => ({ default: (await import('./DriveDialogs.js')).RemoveDriveDialog }))

interface Asking {
  what: 'change' | 'grow' | 'move' | 'remove'
  drive: DriveView
}

/** The disks of a node in the order in which the guest sees them. */
export function DrivesTable({ node, drives }: { node: NodeView; drives: readonly DriveView[] }) {
  const may = useMay()
  const [asking, setAsking] = useState<Asking | null>(null)
  const staff = may('node.drives')
  const close = () => setAsking(null)
  return (
    <>
      <div className={`${table['scroll']} ${table['stack']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>Drive</th>
              <th>Holds</th>
              <th>Guest may</th>
              <th>Cache, engine</th>
              <th>Limits</th>
              {staff && (
                <th className={table['end']}>
                  <span className="visually-hidden">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {drives.map((drive) => (
              <tr key={drive.id} data-missing={drive.missing || undefined}>
                <td data-lead className={classes['drive']}>
                  <span className={classes['name']}>
                    <strong>{drive.id}</strong>
                    {drive.root && <span className={classes['badge']}>boots from it</span>}
                    {drive.appliesAtNextStart && <NextStart />}
                  </span>
                  <span className={classes['path']}>
                    <code>{drive.path}</code>
                    <CopyButton text={drive.path} label={`Copy the path of ${drive.id}`} />
                  </span>
                  {drive.missing && <Missing drive={drive} />}
                </td>
                <td data-label="Holds" className={classes['usage']}>
                  <UsageBar usedBytes={drive.usedBytes} sizeBytes={drive.sizeBytes} />
                </td>
                <td data-label="Guest may" className={table['nowrap']}>
                  {drive.readOnly ? 'only read' : 'read and write'}
                </td>
                <td data-label="Cache, engine" className={table['nowrap']}>
                  <span>
                    {drive.cache}, {drive.io}
                    <span className={table['sub']}>{drive.format}</span>
                  </span>
                </td>
                <td data-label="Limits">{limitsWords(drive.limits) ?? <span className={table['soft']}>none</span>}</td>
                {staff && (
                  <td data-corner className={table['end']}>
                    <DriveMenu node={node} drive={drive} onAsk={setAsking} />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Suspense>
        {asking?.what === 'change' && <ChangeDriveDialog node={node} drive={asking.drive} onClose={close} />}
        {asking?.what === 'grow' && <GrowDriveDialog node={node} drive={asking.drive} onClose={close} />}
        {asking?.what === 'move' && <MoveDriveDialog node={node} drive={asking.drive} onClose={close} />}
        {asking?.what === 'remove' && <RemoveDriveDialog node={node} drive={asking.drive} onClose={close} />}
      </Suspense>
    </>
  )
}

function NextStart() {
  return (
    <Tooltip label="It is stored. The guest that runs now has it as it was; the next start brings it.">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- its explanation is reached by keyboard, too */}
      <span className={classes['pending']} tabIndex={0}>
        at the next start
      </span>
    </Tooltip>
  )
}

function Missing({ drive }: { drive: DriveView }) {
  const text =
    drive.source === 'automatic' && !drive.root
      ? 'Its file is missing. The next start makes it again, empty.'
      : 'Its file is missing. The node can’t start until it is back.'
  return (
    <span className={classes['missing']}>
      <IconAlertTriangle size={14} stroke={1.75} aria-hidden />
      {text}
    </span>
  )
}

function DriveMenu({ node, drive, onAsk }: { node: NodeView; drive: DriveView; onAsk: (asking: Asking) => void }) {
  const ours = drive.source === 'automatic'
  const root = drive.root ? 'The node boots from it: it stays with the node.' : null
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={`Actions for ${drive.id}`}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <MenuAction
          icon={IconPencil}
          reason={node.actions.changeDrives}
          onClick={() => onAsk({ what: 'change', drive })}
        >
          Change…
        </MenuAction>
        <MenuAction
          icon={IconArrowsMaximize}
          reason={node.actions.growDrive ?? (ours || drive.root ? null : 'It is a file of somebody’s own.')}
          onClick={() => onAsk({ what: 'grow', drive })}
        >
          Grow…
        </MenuAction>
        <Menu.Divider />
        <MenuAction
          icon={IconTransfer}
          reason={root ?? node.actions.changeDrives}
          onClick={() => onAsk({ what: 'move', drive })}
        >
          Move to another node…
        </MenuAction>
        <MenuAction
          icon={IconUnlink}
          danger
          reason={root ?? node.actions.changeDrives}
          onClick={() => onAsk({ what: 'remove', drive })}
        >
          Remove…
        </MenuAction>
      </Menu.Dropdown>
    </Menu>
  )
}
