import type { Operation } from '@domain/operation.js'
import { Skeleton } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { ApiError } from '../api/client.js'
import { useOperation } from '../api/operations.js'
import { ActionButton } from '../components/ActionButton.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { PageHeader } from '../components/PageHeader.js'
import { CancelOperation } from '../operations/CancelOperation.js'
import { itemWords } from '../operations/facts.js'
import { OperationItems } from '../operations/OperationItems.js'
import { OperationProgress } from '../operations/OperationProgress.js'
import { PasswordsButton } from '../operations/PasswordsButton.js'
import { UndoButton } from '../operations/UndoButton.js'
import { TestBootResult } from '../test-boot/TestBootResult.js'
import { download } from '../util/download.js'
import { NotFoundPage } from './NotFoundPage.js'
import { OperationFacts } from './operations/OperationFacts.js'
import classes from './operations/OperationPage.module.css'
import { OperationResources } from './operations/OperationResources.js'
import { OperationSteps } from './operations/OperationSteps.js'

const route = getRouteApi('/operations/$operationId')

/** One operation: how it stands, its steps with their times, what it makes and takes away. */
export function OperationPage() {
  const { operationId } = route.useParams()
  const { data: operation, error, isPending } = useOperation(operationId)

  if (error instanceof ApiError && (error.status === 404 || error.status === 400)) {
    return <NotFoundPage what="operation" />
  }
  if (isPending) return <Skeleton height={320} />
  if (!operation) return <ErrorNotice what="The operation could not be read" error={error} />
  const running = operation.state === 'running'
  const save = () => download(`operation-${operation.id}.json`, new Blob([`${JSON.stringify(operation, null, 2)}\n`]))
  return (
    <div className={classes['page']}>
      <PageHeader
        title={operation.title}
        actions={
          <>
            {running && <CancelOperation operation={operation} size="sm" />}
            <PasswordsButton operation={operation} size="sm" />
            <UndoButton operation={operation} />
            <ActionButton
              variant="default"
              leftSection={<IconDownload size={15} stroke={1.75} aria-hidden />}
              onClick={save}
            >
              JSON
            </ActionButton>
          </>
        }
      />
      <OperationFacts operation={operation} />
      {running && <OperationProgress operation={operation} />}
      {operation.error && <ErrorNotice what={failedWords(operation)} error={asApiError(operation.error)} />}
      {operation.items.length > 1 && (
        <section className={classes['section']}>
          <header>
            <h2>Nodes</h2>
            <span>{itemWords(operation.items)}</span>
          </header>
          <OperationItems operation={operation} />
        </section>
      )}
      {operation.kind === 'node.testBoot' && !running && (
        <section className={classes['section']}>
          <header>
            <h2>Report</h2>
          </header>
          <TestBootResult operation={operation} />
        </section>
      )}
      <div className={classes['columns']}>
        <OperationSteps operation={operation} />
        {operation.resources.length > 0 && <OperationResources operation={operation} />}
      </div>
    </div>
  )
}

function failedWords({ outcome, items }: Operation): string {
  if (outcome === null && items.some(({ state }) => state === 'succeeded')) return 'Not all of it could be done'
  if (outcome === 'rolled-back') return 'It failed, and all of it was taken back'
  return outcome === 'committed' ? 'It is done, but not all that follows' : 'It failed'
}

function asApiError({ code, message, hint }: { code: string; message: string; hint?: string | undefined }): ApiError {
  // The server wrote the code from its own table.
  return new ApiError(0, { code: code as ApiError['code'], message, hint })
}
