import { IconFileImport, IconUpload } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { useMay } from '../api/current-user.js'
import { useImages } from '../api/images.js'
import { ButtonLink } from '../components/ButtonLink.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import { TableSkeleton } from '../components/TableSkeleton.js'
import { CatalogueList } from './images/CatalogueList.js'
import classes from './images/Images.module.css'
import { ImagesTable } from './images/ImagesTable.js'
import { RecipeList } from './images/RecipeList.js'
import { NotFoundPage } from './NotFoundPage.js'

const UploadDialog = lazy(async () => ({ default: (await import('./images/UploadDialog.js')).UploadDialog }))
const ImportDialog = lazy(async () => ({ default: (await import('./images/ImportDialog.js')).ImportDialog }))

const route = getRouteApi('/images')

/** What nodes are made from: what is here, what can be built, what can be downloaded. */
export function ImagesPage() {
  const may = useMay()
  const shelf = useImages()
  const { dialog } = route.useSearch()
  const navigate = route.useNavigate()
  if (!may('image.manage')) return <NotFoundPage />
  const close = () => void navigate({ search: {}, replace: true })
  return (
    <div className={classes['page']}>
      <PageHeader
        title="Images"
        description="A node starts as an image and keeps only what it changes. An image itself never changes."
        actions={
          <>
            {may('settings.manage') && (
              <ButtonLink
                to="/images"
                search={{ dialog: 'import' }}
                variant="default"
                leftSection={<IconFileImport size={16} stroke={1.75} aria-hidden />}
              >
                Import from the server
              </ButtonLink>
            )}
            <ButtonLink
              to="/images"
              search={{ dialog: 'upload' }}
              leftSection={<IconUpload size={16} stroke={1.75} aria-hidden />}
            >
              Upload an image
            </ButtonLink>
          </>
        }
      />
      {shelf.isError && <ErrorNotice what="The images could not be read" error={shelf.error} />}
      {shelf.isPending && <TableSkeleton rows={4} />}
      {shelf.data && (
        <>
          <ImagesTable images={shelf.data.images} />
          <RecipeList shelf={shelf.data} />
          <CatalogueList shelf={shelf.data} />
        </>
      )}
      <Suspense>
        {dialog === 'upload' && <UploadDialog onClose={close} />}
        {dialog === 'import' && may('settings.manage') && <ImportDialog onClose={close} />}
      </Suspense>
    </div>
  )
}
