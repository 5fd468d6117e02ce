import { Skeleton } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useMay } from '../api/current-user.js'
import { useSpace } from '../api/storage.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import tabs from '../components/LinkTabs.module.css'
import { PageHeader } from '../components/PageHeader.js'
import { STORAGE_TABS, type StorageTab } from '../search.js'
import { NotFoundPage } from './NotFoundPage.js'
import { ImagesBySize } from './storage/ImagesBySize.js'
import { LabSettingsForm } from './storage/LabSettingsForm.js'
import { NodesBySize } from './storage/NodesBySize.js'
import { OrphansList } from './storage/OrphansList.js'
import { SnapshotsBySize } from './storage/SnapshotsBySize.js'
import { SpacePicture } from './storage/SpacePicture.js'
import classes from './storage/Storage.module.css'
import { TrashList } from './storage/TrashList.js'
import { VerifyPanel } from './storage/VerifyPanel.js'

const route = getRouteApi('/storage')

const LABELS: Record<StorageTab, string> = {
  nodes: 'Nodes',
  images: 'Base images',
  snapshots: 'Snapshots',
  trash: 'Trash',
  orphans: 'Orphans',
  verify: 'Verify',
  settings: 'Settings',
}

/** Where the room on the disk is, and everything that can be done about it. */
export function StoragePage() {
  const may = useMay()
  if (!may('storage.read')) return <NotFoundPage />
  return <Storage />
}

function Storage() {
  const { tab = 'nodes' } = route.useSearch()
  const may = useMay()
  const space = useSpace()
  const shown = STORAGE_TABS.filter((one) => one !== 'settings' || may('settings.manage'))
  return (
    <div className={classes['page']}>
      <PageHeader
        title="Storage"
        description="Where the room on the disk is. Every file is counted once, as it lies on the disk."
      />
      {space.isError && <ErrorNotice what="The room on the disk could not be measured" error={space.error} />}
      {space.isPending && <Skeleton height={150} />}
      {space.data && <SpacePicture space={space.data} tab={tab} />}
      <nav className={tabs['tabs']} aria-label="Storage">
        {shown.map((one) => (
          <Link
            key={one}
            to="/storage"
            search={one === 'nodes' ? {} : { tab: one }}
            className={tabs['tab']}
            {...(one === tab ? { 'aria-current': 'page' as const } : {})}
            activeOptions={{ exact: true }}
            activeProps={{}}
            resetScroll={false}
            replace
          >
            {LABELS[one]}
          </Link>
        ))}
      </nav>
      {tab === 'nodes' && <NodesBySize space={space.data} />}
      {tab === 'images' && <ImagesBySize space={space.data} />}
      {tab === 'snapshots' && <SnapshotsBySize space={space.data} />}
      {tab === 'trash' && <TrashList />}
      {tab === 'orphans' && <OrphansList />}
      {tab === 'verify' && <VerifyPanel />}
      {tab === 'settings' && may('settings.manage') && <LabSettingsForm />}
    </div>
  )
}
