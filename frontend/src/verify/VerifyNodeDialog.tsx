import type { NodeView } from '@domain/node.js'
import type { VerifyLevel } from '@domain/storage.js'
import { Button, Skeleton } from '@mantine/core'
import { useState } from 'react'
import { useOperation } from '../api/operations.js'
import { useReport } from '../api/storage.js'
import { useWork } from '../api/work.js'
import { ActionButton } from '../components/ActionButton.js'
import { Dialog } from '../components/Dialog.js'
import dialog from '../components/Dialog.module.css'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { RadioCards } from '../components/RadioCards.js'
import { OperationProgress } from '../operations/OperationProgress.js'
import { Findings } from './Findings.js'
import { LEVELS, reportWords } from './levels.js'

/** Looks at everything that one node's disks need, and tells what is not as it should be. */
export function VerifyNodeDialog({ node, onClose }: { node: Pick<NodeView, 'id' | 'name'>; onClose: () => void }) {
  const verify = useWork()
  const [level, setLevel] = useState<VerifyLevel>('chain')
  const operationId = verify.data?.operation?.id
  return (
    <Dialog onClose={onClose} title={`Verify the disks of ${node.name}`} width={640} easyToClose={false}>
      <div className={dialog['body']}>
        {!operationId && (
          <RadioCards legend="How closely" name="level" value={level} options={LEVELS} onChange={setLevel} />
        )}
        {verify.isError && <ErrorNotice what="It could not be verified" error={verify.error} />}
        {operationId && <Outcome operationId={operationId} />}
        <div className={dialog['actions']}>
          <Button variant="default" size="sm" onClick={onClose}>
            {operationId ? 'Close' : 'Cancel'}
          </Button>
          {!operationId && (
            <ActionButton
              loading={verify.isPending}
              onClick={() =>
                verify.mutate({ method: 'POST', path: 'storage/verify', body: { nodeId: node.id, level } })
              }
            >
              Verify
            </ActionButton>
          )}
        </div>
      </div>
    </Dialog>
  )
}

function Outcome({ operationId }: { operationId: string }) {
  const { data: operation } = useOperation(operationId)
  const ended = operation !== undefined && operation.state !== 'running'
  const report = useReport(operationId, ended)
  if (!operation) return <Skeleton height={80} />
  if (!ended) return <OperationProgress operation={operation} />
  if (report.error) return <ErrorNotice what="The report could not be read" error={report.error} />
  if (report.isPending) return <Skeleton height={80} />
  if (!report.data) return <p>{operation.error?.message ?? 'There is no report.'}</p>
  return (
    <>
      <p>
        <strong>{reportWords(report.data)}</strong>
      </p>
      <Findings report={report.data} />
    </>
  )
}
