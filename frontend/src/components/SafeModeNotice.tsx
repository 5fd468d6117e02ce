import { useState } from 'react'
import type { ApiError } from '../api/client.js'
import { useMay } from '../api/current-user.js'
import { useRebuild, type RebuildReport } from '../api/system.js'
import { ActionButton } from './ActionButton.js'
import { ConfirmDialog } from './ConfirmDialog.js'
import { Notice } from './Notice.js'
import { toastDone } from './toast.js'
import { Words } from './Words.js'

/** The server found disks but no state that it trusts: it shows nothing rather than something wrong. */
export function SafeModeNotice({ refusal }: { refusal: ApiError }) {
  const may = useMay()
  const [asking, setAsking] = useState(false)
  return (
    <Notice tone="bad" title="SandLabX is in safe mode">
      <p>
        <Words>{refusal.message}</Words>
      </p>
      <p>
        Disks and images are as they were; nothing was overwritten. Nodes can’t be listed or started until this is
        mended.
      </p>
      {may('settings.manage') ? (
        <div>
          <ActionButton size="xs" variant="default" onClick={() => setAsking(true)}>
            Rebuild the state…
          </ActionButton>
        </div>
      ) : (
        <p>Tell an administrator.</p>
      )}
      {asking && <RebuildDialog onClose={() => setAsking(false)} />}
    </Notice>
  )
}

function RebuildDialog({ onClose }: { onClose: () => void }) {
  const rebuild = useRebuild()
  return (
    <ConfirmDialog
      title="Rebuild the state from the disks’ records?"
      confirm="Rebuild the state"
      busy={rebuild.isPending}
      failure={rebuild.isError ? { what: 'The state was not rebuilt', error: rebuild.error } : null}
      onConfirm={() =>
        rebuild.mutate(undefined, {
          onSuccess: (report) => {
            toastDone(rebuiltWords(report))
            onClose()
          },
        })
      }
      onClose={onClose}
    >
      <p>
        Beside each disk lies a record of its node. The state is made anew from these. What can’t be read now is moved
        aside and kept, so that you can still put the old state back if you have it in a backup.
      </p>
      <p>
        If the accounts were lost, too: whoever gets an account with the same name again has their nodes again. Until
        then they are yours to see.
      </p>
    </ConfirmDialog>
  )
}

function rebuiltWords({ nodes, overlaysWithoutRecord, ownerless }: RebuildReport): string {
  const logins = ownerless.flatMap(({ login }) => (login === null ? [] : [login]))
  const rest = overlaysWithoutRecord > 0 ? `, ${overlaysWithoutRecord} disks have no record` : ''
  const waiting = logins.length > 0 ? `. Their owners have no account now: ${logins.join(', ')}` : ''
  return `${nodes} nodes are back${rest}${waiting}`
}
