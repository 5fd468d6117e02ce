import type { Orphan } from '@domain/storage.js'
import { ActionIcon, Menu } from '@mantine/core'
import { IconDots, IconHeartRateMonitor, IconPlugConnected, IconShieldCheck, IconTrash } from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { useMay } from '../../api/current-user.js'
import { useOrphans } from '../../api/storage.js'
import { ActionButton } from '../../components/ActionButton.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { EmptyState } from '../../components/EmptyState.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { MenuAction } from '../../components/MenuAction.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import table from '../../components/Table.module.css'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { formatSize } from '../../util/size.js'
import classes from './Storage.module.css'

const AttachDialog = lazy(async () => ({ default: (await import('./AttachDialog.js')).AttachDialog }))
const DiscardDialog = lazy(async () => ({ default: (await import('./DiscardDialog.js')).DiscardDialog }))
const TestBootDialog = lazy(async () => ({
  default: (await import('../../test-boot/TestBootDialog.js')).TestBootDialog,
}))

const KINDS: Record<Orphan['kind'], string> = {
  disk: 'Disk',
  snapshot: 'Snapshot',
  drive: 'Drive',
  memory: 'Memory of a suspended guest',
  other: 'File',
}

interface Asking {
  what: 'attach' | 'discard' | 'boot'
  orphan: Orphan
}

/** Disk files that nothing names: who had them, and the two ways on: back to a node, or to the trash. */
export function OrphansList() {
  const may = useMay()
  const orphans = useOrphans()
  const [asking, setAsking] = useState<Asking | null>(null)
  const close = () => setAsking(null)
  if (orphans.isError) return <ErrorNotice what="The orphans could not be looked for" error={orphans.error} />
  if (!orphans.data) return <TableSkeleton rows={4} />
  const { totalBytes } = orphans.data
  const all = orphans.data.orphans.toSorted((a, b) => b.usedBytes - a.usedBytes)
  if (all.length === 0) {
    return (
      <EmptyState
        icon={<IconShieldCheck size={22} stroke={1.5} />}
        title="No orphaned storage found"
        action={
          <ButtonLink to="/storage" search={{ tab: 'verify' }} variant="default">
            Verify the rest
          </ButtonLink>
        }
      >
        Every disk file in the managed folders belongs to a node, a snapshot or an image.
      </EmptyState>
    )
  }
  return (
    <section className={classes['section']} aria-label="Orphans">
      <div className={classes['lead']}>
        <p>
          {all.length} {all.length === 1 ? 'file' : 'files'} with {formatSize(totalBytes)} that no node, snapshot or
          image names. Nothing removes them by itself.
        </p>
      </div>
      <div className={`${table['scroll']} ${table['stack']}`}>
        <table className={table['table']}>
          <thead>
            <tr>
              <th>File</th>
              <th>Was</th>
              <th>Changed</th>
              <th className={table['number']}>Disk in it</th>
              <th className={table['number']}>Holds</th>
              <th className={table['end']}>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((orphan) => (
              <tr key={orphan.path}>
                <td data-lead className={classes['what']}>
                  <code className={classes['path']}>{orphan.path}</code>
                  <Remarks orphan={orphan} />
                </td>
                <td data-label="Was">{wasWords(orphan)}</td>
                <td data-label="Changed" className={`${table['nowrap']} ${table['soft']}`}>
                  <RelativeTime at={orphan.changedAt} />
                </td>
                <td data-label="Disk in it" className={table['number']}>
                  {orphan.virtualSizeBytes === null ? '–' : formatSize(orphan.virtualSizeBytes)}
                </td>
                <td data-label="Holds" className={table['number']}>
                  {formatSize(orphan.usedBytes)}
                </td>
                <td className={table['end']}>
                  <span className={table['actions']}>
                    <ActionButton
                      size="xs"
                      variant="default"
                      leftSection={<IconPlugConnected size={14} aria-hidden />}
                      aria-label={`Attach ${fileOf(orphan)}`}
                      reason={orphan.backing?.present === false ? null : orphan.fault}
                      onClick={() => setAsking({ what: 'attach', orphan })}
                    >
                      Attach
                    </ActionButton>
                    <Menu>
                      <Menu.Target>
                        <ActionIcon
                          variant="subtle"
                          color="gray"
                          size={28}
                          aria-label={`More actions for ${fileOf(orphan)}`}
                        >
                          <IconDots size={16} aria-hidden />
                        </ActionIcon>
                      </Menu.Target>
                      <Menu.Dropdown>
                        <MenuAction
                          icon={IconHeartRateMonitor}
                          reason={orphan.fault}
                          onClick={() => setAsking({ what: 'boot', orphan })}
                        >
                          Test boot…
                        </MenuAction>
                        {may('storage.manage') && (
                          <MenuAction icon={IconTrash} danger onClick={() => setAsking({ what: 'discard', orphan })}>
                            Discard…
                          </MenuAction>
                        )}
                      </Menu.Dropdown>
                    </Menu>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Suspense>
        {asking?.what === 'attach' && <AttachDialog orphan={asking.orphan} onClose={close} />}
        {asking?.what === 'discard' && <DiscardDialog orphan={asking.orphan} onClose={close} />}
        {asking?.what === 'boot' && (
          <TestBootDialog name={fileOf(asking.orphan)} of={{ path: asking.orphan.path }} onClose={close} />
        )}
      </Suspense>
    </section>
  )
}

function Remarks({ orphan: { fault, backing } }: { orphan: Orphan }) {
  if (fault) return <span className={classes['refused']}>{fault}</span>
  if (backing && !backing.present) {
    return <span className={classes['refused']}>It stands on {backing.path}, which is missing.</span>
  }
  return backing ? <span className={table['sub']}>stands on {backing.path}</span> : null
}

function wasWords({ kind, formerly, snapshotName, format }: Orphan): string {
  const what = snapshotName ? `Snapshot ${snapshotName}` : KINDS[kind]
  if (kind === 'memory') return what
  if (!formerly) return `${what}, ${format === 'unknown' ? 'unknown format' : format}, of nobody known`
  return `${what} of ${formerly.nodeName}${formerly.ownerLogin ? `, ${formerly.ownerLogin}` : ''}`
}

function fileOf({ path }: Orphan): string {
  return path.split('/').at(-1) ?? path
}
